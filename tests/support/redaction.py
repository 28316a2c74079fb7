"""Read the samples of `tests/fixtures/redaction/`, and measure a redactor with them.

A heading `[category: format]` is followed by one sample per line. `«` and `»` mark a secret. A sample without a secret
must stay as it is. `⏎` is a line break. `¦` is removed: it keeps scanners of repositories from reporting these invented
tokens.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "fixtures" / "redaction"
_HEADING = re.compile(r"\[(?P<category>[^:\]]+): (?P<format>[^\]]+)\]")
_SECRET = re.compile("«(.*?)»", re.DOTALL)
# A shorter rest of a secret is of no use to a reader.
_PIECE = 6


@dataclass(frozen=True)
class Sample:
    """One log message, and the secrets in it."""

    category: str
    format: str
    text: str
    secrets: tuple[str, ...]

    def holds(self, redacted: str) -> bool:
        """Return whether no part of a secret is left, or the whole text if it has no secret."""
        if not self.secrets:
            return redacted == self.text
        return not any(piece in redacted for secret in self.secrets for piece in _pieces(secret))


@dataclass(frozen=True)
class Result:
    """The samples of a file that hold, and the others."""

    found: tuple[Sample, ...]
    missed: tuple[Sample, ...]
    kept: tuple[Sample, ...]
    false: tuple[Sample, ...]

    @property
    def recall(self) -> float:
        return len(self.found) / (len(self.found) + len(self.missed))

    @property
    def false_rate(self) -> float:
        return len(self.false) / (len(self.false) + len(self.kept))

    def __str__(self) -> str:
        secrets, others = len(self.found) + len(self.missed), len(self.kept) + len(self.false)
        by_category = Counter(sample.category for sample in self.missed)
        missed = ", ".join(f"{category} {number}" for category, number in by_category.most_common())
        return (
            f"recall {len(self.found)} of {secrets} ({self.recall:.0%}), "
            f"false {len(self.false)} of {others} ({self.false_rate:.0%}); missed: {missed or 'none'}"
        )


def read(name: str) -> list[Sample]:
    """Return the samples of `held_back` or `known`."""
    return list(_parse((SAMPLES / f"{name}.txt").read_text(encoding="utf-8").splitlines()[1:]))


def measure(samples: Sequence[Sample], redact: Callable[[str], str]) -> Result:
    """Redact each sample."""
    groups: dict[tuple[bool, bool], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((bool(sample.secrets), sample.holds(redact(sample.text))), []).append(sample)
    found, missed, kept, false = (
        tuple(groups.get(key, ())) for key in ((True, True), (True, False), (False, True), (False, False))
    )
    return Result(found, missed, kept, false)


def _parse(lines: Sequence[str]) -> Iterator[Sample]:
    category, form = "", ""
    for line in lines:
        if heading := _HEADING.fullmatch(line):
            category, form = heading["category"], heading["format"]
        elif line:
            marked = line.replace("¦", "").replace("⏎", "\n")
            text = _SECRET.sub(lambda match: match[1], marked)
            yield Sample(category, form, text, tuple(_SECRET.findall(marked)))


def _pieces(secret: str) -> set[str]:
    size = min(_PIECE, len(secret))
    return {secret[start : start + size] for start in range(len(secret) - size + 1)}
