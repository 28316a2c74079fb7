"""Markdown for comments on pull requests: code spans, escaped text, folded sections and the length limit."""

from __future__ import annotations

import re

# Longest body of a comment in the GitHub API.
LIMIT = 65_536
_CUT = "\n\n_This plan is longer than a comment may be and is cut here; `deploy.py plan` shows all of it._\n"


def format_code(text: str) -> str:
    """Return the text as a code span. Its fence is longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"{fence}{text}{fence}"


def escape(text: str) -> str:
    """Return the text without markup: a `*` in an IAM action is a wildcard, not emphasis."""
    return re.sub(r"([*_`<>|\\])", r"\\\1", text)


def fold(lines: list[str], title: str) -> list[str]:
    """Return a closed <details> section that is titled with the number of list items, or nothing without lines."""
    if not lines:
        return []
    number = sum(1 for line in lines if line.startswith("- "))
    return ["<details>", f"<summary>{number} {title}</summary>", "", *lines, "", "</details>", ""]


def truncate(text: str, limit: int = LIMIT) -> str:
    """Return the text, cut at the end of a line with a note if it is longer than the limit.

    An open <details> section is closed.
    """
    if len(text) <= limit:
        return text
    closing = "\n</details>\n"
    head = text[: limit - len(_CUT) - len(closing)].rpartition("\n")[0]
    if head.count("<details>") > head.count("</details>"):
        head += closing
    return head + _CUT
