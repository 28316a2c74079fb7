"""Compile the sources of a function without executing them, and find its handler.

The module is also a program: the interpreter of the functions runs it if this process is an older Python, which refuses
newer syntax. It reads `{"version": [3, 13], "sources": {path: text}}` and writes `{path: error}`, both as JSON.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterable, Mapping


def find_errors(sources: Mapping[str, str], version: tuple[int, int]) -> dict[str, str]:
    """Return the error of each source that a Python of this version does not compile, or that has no handler."""
    errors: dict[str, str] = {}
    for path, text in sources.items():
        try:
            compile(text, path, "exec", dont_inherit=True)
            # A newer Python accepts newer syntax, so it parses as the older one.
            needs_tree = path == "index.py" or sys.version_info[:2] > version
            tree = ast.parse(text, path, feature_version=version) if needs_tree else ast.Module([], [])
        except (SyntaxError, ValueError) as error:
            line = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
            errors[path] = f"does not compile: {line}{error.msg if isinstance(error, SyntaxError) else error}"
            continue
        if path == "index.py" and not _defines_handler(tree.body):
            errors[path] = "defines no handler, but Lambda calls index.handler"
    return errors


def _defines_handler(body: Iterable[ast.AST]) -> bool:
    """Return whether statements at the level of the module define, assign or import the name."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = {node.name}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.asname or alias.name for alias in node.names}
        else:
            parts = (getattr(node, name, []) for name in ("body", "orelse", "finalbody", "handlers"))
            if any(_defines_handler(part) for part in parts if isinstance(part, list)):
                return True
            names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
        if names & {"handler", "*"}:
            return True
    return False


if __name__ == "__main__":
    given = json.load(sys.stdin)
    json.dump(find_errors(given["sources"], tuple(given["version"])), sys.stdout)
