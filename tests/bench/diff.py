"""Accuracy of `deploy.py diff`: each edit of the corpus, compared with the emulator and the template reference.

`measure()` returns rows for `make bench`. `python -m tests.bench.diff` also lists the edits one by one.
"""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hosting.analysis.diff.prediction_comparison import Comparison
from tests.analysis.diff.corpus import Result
from tests.analysis.diff.corpus import measure as run

SUBJECT = "diff"


class Row(NamedTuple):
    subject: str
    what: str
    value: float
    unit: str


def measure() -> list[Row]:
    return list(rows(list(run())))


def rows(results: Sequence[Result]) -> Iterator[Row]:
    """Yield sums over all edits, also over those for which the emulator is known to be wrong."""
    comparisons = [result.against_emulator for result in results]
    agreed = sum(len(item.agreed) for item in comparisons)
    missed = sum(len(item.missed) for item in comparisons)
    extra = sum(len(item.extra) for item in comparisons)
    different = sum(len(item.different) for item in comparisons)
    undisputed = [result.undisputed() for result in results]
    yield Row(SUBJECT, "single edits of the templates", len(results), "")
    yield Row(SUBJECT, "edits predicted exactly as the emulator computes them", _count(comparisons), "")
    yield Row(SUBJECT, "the same without edits for which the emulator is wrong", _count(undisputed), "")
    yield Row(SUBJECT, "edited resource as in the template reference", sum(one.as_documented for one in results), "")
    yield Row(SUBJECT, "resources that both change, with the same effect", agreed, "")
    yield Row(SUBJECT, "resources with another effect", different, "")
    yield Row(SUBJECT, "resources that only the emulator lists", missed, "")
    yield Row(SUBJECT, "resources that only the prediction has", extra, "")
    yield Row(
        SUBJECT, "missed without edits for which the emulator is wrong", sum(len(one.missed) for one in undisputed), ""
    )
    yield Row(SUBJECT, "wrong replacement without these edits", sum(len(one.wrong_losses) for one in undisputed), "")
    yield Row(SUBJECT, "agreement over all resources", 100 * agreed / (agreed + missed + extra + different), "%")
    yield Row(SUBJECT, "one environment predicted", statistics.median(one.seconds for one in results) * 1000, "ms")
    for reason, number in Counter(result.edit.reason for result in results if result.edit.reason).most_common():
        yield Row(SUBJECT, f"edits disputed: {reason}", number, "")


def _count(comparisons: Sequence[Comparison]) -> int:
    return sum(item.is_exact for item in comparisons)


def _line(result: Result) -> str:
    found = result.against_emulator
    verdict = "exact" if found.is_exact else "disputed" if result.undisputed().is_exact else "WRONG"
    documented = "" if result.as_documented else "  NOT AS DOCUMENTED"
    text = f"{verdict:9}{result.edit.template:16}{result.edit.name:42}{len(found.agreed):4} agreed{documented}"
    for title, paths in (("only emulator", found.missed), ("only predicted", found.extra)):
        text += "".join(f"\n{'':13}{title}: {'/'.join(path)}" for path in paths)
    for path, (predicted, actual) in found.different.items():
        text += f"\n{'':13}{'/'.join(path)}: predicted {predicted}, emulator {actual}"
    return text + (f"\n{'':13}{result.edit.reason}" if not found.is_exact else "")


if __name__ == "__main__":
    done = []
    for one in run():
        done.append(one)
        sys.stdout.write(f"{_line(one)}\n")
    for row in rows(done):
        sys.stdout.write(f"{row.subject:8}{row.what:100}{row.value:10.1f} {row.unit}\n")
