"""Compares a prediction with the change set that CloudFormation computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hosting.model.effects import DESTRUCTIVE_EFFECTS

Path = tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """The resources of a prediction and a change set, by agreement."""

    predicted: Mapping[Path, str]
    actual: Mapping[Path, str]
    agreed: tuple[Path, ...]
    # In the change set and not predicted.
    missed: tuple[Path, ...]
    # Predicted and not in the change set.
    extra: tuple[Path, ...]
    # Both, with different effects: path -> (predicted, actual).
    different: Mapping[Path, tuple[str, str]]

    @property
    def is_exact(self) -> bool:
        return not (self.missed or self.extra or self.different)

    @property
    def wrong_losses(self) -> dict[Path, tuple[str, str]]:
        """The resources for which one side predicts a loss and the other does not, or another loss."""
        return {
            path: pair for path, pair in self.different.items() if any(effect in DESTRUCTIVE_EFFECTS for effect in pair)
        }


def compare_with_change_set(predicted: Mapping[Path, str], actual: Mapping[Path, str]) -> Comparison:
    """Compare effects by resource path ("DatabaseStack", "Cluster"), in the words of `plan`."""
    both = [path for path in predicted if path in actual]
    return Comparison(
        predicted,
        actual,
        agreed=tuple(path for path in both if predicted[path] == actual[path]),
        missed=tuple(path for path in actual if path not in predicted),
        extra=tuple(path for path in predicted if path not in actual),
        different={path: (predicted[path], actual[path]) for path in both if predicted[path] != actual[path]},
    )
