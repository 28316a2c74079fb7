"""Checks the English of the project: words and habits that make texts hard to read for engineers who know AWS.

The texts are docstrings, comments and string constants of Python files, descriptions in templates, and documents.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Pattern -> what to write instead.
WORDS: dict[str, str] = {
    r"nobody|somebody|anybody|everybody|whoever|whatever|wherever|whichever": "name the person, role or thing",
    r"settle[sd]?|settling": "classify, wait, set or end",
    r"(?:come|comes|coming|came|bring|brings) to rest": "end, finish, or name the status",
    r"stands?(?! alone\b)|stood": "is, has or contains",
    r"lie|lies": "is or has",
    r"lets|let go(?: of)?": "allows, permits or releases",
    r"goes": "is deleted, is sent, leads or ends",
    r"says|tells|told": "reports, states, returns, describes",
    r"brings?": "deploys, sets or moves",
    r"judges?|judged|judging": "check, validate or scan",
    r"doomed|foresight|foresee|shield(?!s? Advanced)": "the field's own term",
    r"world": "network, account or internet",
    r"in truth|for good|of its own accord": "plain words",
}
_WORDS = {re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE): instead for pattern, instead in WORDS.items()}

# A first line that begins with one of these has no verb. Write "Return the ...", "Delete ...", "Check whether ...".
_NO_VERB = {
    "a", "all", "an", "and", "as", "at", "because", "both", "but", "by", "each", "every", "everything", "for", "from",
    "here", "how", "if", "in", "it", "its", "no", "nothing", "of", "on", "one", "only", "or", "something", "that",
    "the", "their", "these", "this", "those", "to", "what", "when", "where", "whether", "which", "who", "whose", "why",
    "with", "without",
}  # fmt: skip
# A class or a module is named by a noun: these words begin a sentence without one.
_NO_NOUN = {
    "and", "as", "because", "but", "how", "if", "it", "its", "something", "that", "what", "when", "where", "whether",
    "which", "who", "whose", "why",
}  # fmt: skip
# A public function longer than this many lines needs a docstring. Shorter ones may be clear from name and types.
LONG = 8


@dataclass(frozen=True)
class Finding:
    """One place whose text should be rewritten."""

    file: str
    line: int
    text: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.problem}: {' '.join(self.text.split())[:110]}"


def words_in(file: str, line: int, text: str) -> Iterator[Finding]:
    """Yield a finding for each forbidden word of a text, at its own line."""
    for offset, part in enumerate(text.split("\n")):
        for pattern, instead in _WORDS.items():
            for match in pattern.finditer(part):
                yield Finding(file, line + offset, part, f'"{match[0]}": write {instead}')


def check_python(path: Path, name: str) -> Iterator[Finding]:
    """Yield the findings of one Python file: docstrings, comments, and string constants of prose."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield from words_in(name, token.start[0], token.string)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield from words_in(name, node.lineno, node.value)


def check_docstrings(path: Path, name: str) -> Iterator[Finding]:
    """Yield missing docstrings of public definitions, and first lines without a subject or verb."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from _first_line(name, 1, ast.get_docstring(tree), _NO_NOUN, required=True, what=name)
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        is_noun = isinstance(node, ast.ClassDef) or bool(_decorators(node) & _NOUN_DECORATORS)
        required = (node.end_lineno or 0) - node.lineno > LONG and not _decorators(node) & _TEXT_DECORATORS
        opening = _NO_NOUN if is_noun else _NO_VERB
        yield from _first_line(name, node.lineno, ast.get_docstring(node), opening, required=required, what=node.name)


# Properties and fixtures are read like attributes: a noun describes them.
_NOUN_DECORATORS = {"property", "cached_property", "fixture"}
# These hold the text of a function in the decorator.
_TEXT_DECORATORS = {"environment_rule", "template_rule", "requirement", "overload"}


def _decorators(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> set[str]:
    names = set()
    for decorator in node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        names.add(ast.unparse(target).rpartition(".")[2])
    return names


def _first_line(
    file: str, line: int, docstring: str | None, opening: set[str], *, required: bool, what: str
) -> Iterator[Finding]:
    if not docstring:
        if required:
            yield Finding(file, line, what, "has no docstring")
        return
    first = docstring.split("\n")[0]
    word = re.sub(r"\W", "", first.split()[0]).lower()
    if word in opening:
        yield Finding(file, line, first, f'the docstring begins with "{word}": begin with the subject or the verb')


def check_document(path: Path, name: str) -> Iterator[Finding]:
    """Yield the findings of a Markdown document; code blocks are left out."""
    text = re.sub(r"```.*?```", lambda block: "\n" * block[0].count("\n"), path.read_text(encoding="utf-8"), flags=re.S)
    yield from words_in(name, 1, re.sub(r"`[^`\n]*`", "", text))


def check_template(template: dict[str, Any], name: str) -> Iterator[Finding]:
    """Yield the findings of every description that a template shows to people."""
    stack: list[tuple[str, Any]] = [("", template)]
    while stack:
        key, value = stack.pop()
        if isinstance(value, dict):
            stack.extend(value.items())
        elif isinstance(value, list):
            stack.extend((key, item) for item in value)
        elif isinstance(value, str) and "Description" in key:
            yield from words_in(name, 1, value)
