"""Render predictions as text, JSON and Markdown, in the format of a plan."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from hosting.analysis.diff.compare import Path
from hosting.analysis.diff.prediction import (
    Key,
    PredictedChange,
    PredictedProperty,
    Prediction,
    StackPrediction,
    count_changes,
)
from hosting.analysis.diff.replacement import Recreation
from hosting.cli.rendering import change_symbols, impossible, permissions
from hosting.cli.rendering.markdown import format_code, truncate
from hosting.cli.rendering.plan_text import FATES
from hosting.cli.support.plan_properties import HIDDEN, mask_value
from hosting.model.tokens import REF, Json, Origin, origin, pieces

# Described in docs/diff.schema.json.
SCHEMA = "hosting-platform/diff/1"

# Up to this number, additions are listed without -v.
_FEW = 10

# The same values as in a plan.
_RECREATION: Mapping[Recreation, str] = {
    Recreation.NEVER: "never",
    Recreation.MAY: "maybe",
    Recreation.ALWAYS: "always",
}

_REQUIRES: Mapping[Recreation, str] = {
    Recreation.ALWAYS: "cannot be changed in place",
    Recreation.MAY: "cannot always be changed in place",
}


# --- values


class _ValueFormatter:
    """Formats the values of one prediction: tokens become references, secrets are masked."""

    def __init__(self, prediction: Prediction) -> None:
        self.hidden = prediction.hidden

    def format_pair(self, path: Path, before: Json, after: Json) -> tuple[str | None, str | None]:
        """Return one value before and after the change."""
        old, new = self._text(before, path), self._text(after, path)
        if old == new and HIDDEN in (old or ""):
            new = "(hidden, different)"
        return old, new

    def _text(self, value: Json, path: Path) -> str | None:
        # A reference is not secret, even if the property name suggests it.
        text = value if origin(value) else mask_value(value, path, self.hidden)
        return None if text is None else _insert_references(text)

    def format_line(self, text: str) -> str:
        return _insert_references(mask_value(text, (), self.hidden) or "")


def _insert_references(text: str) -> str:
    """Replace tokens by references such as `${NetworkStack/Vpc}`."""
    return "".join(part if isinstance(part, str) else _format_reference(part) for part in pieces(text))


def _format_reference(source: Origin) -> str:
    name = "/".join((*source.stack.split("/")[1:], source.logical_id))
    return f"${{{name}}}" if source.attribute == REF else f"${{{name}.{source.attribute}}}"


def _format_name(item: PredictedProperty) -> str:
    return item.name.removeprefix("Properties.")


def _format_sides(formatter: _ValueFormatter, item: PredictedProperty) -> tuple[str | None, str | None]:
    return formatter.format_pair(item.path[item.path[:1] == ("Properties",) :], item.before, item.after)


def _format_key(key: Key) -> str:
    return "/".join((*key[0].split("/")[1:], key[1]))


# --- text


def render_text(
    predictions: Sequence[Prediction], against: str, gone: Sequence[str], *, verbose: bool = False
) -> Iterator[RenderableType]:
    """Yield for each environment: data loss, wider permissions, then a tree for each stack, the most severe first."""
    for index, prediction in enumerate(predictions):
        if index:
            yield Text()
        yield Text.assemble((prediction.environment, "bold"), (f"  predicted against {against}", "dim"))
        if prediction.is_new:
            yield Text("new environment: no earlier revision to compare with", style="cyan")
        yield from impossible.render_impossible(prediction.impossible, _ValueFormatter(prediction).format_line)
        yield from _render_losses(prediction)
        yield from impossible.render_new_secrets(prediction.new_secrets)
        yield from permissions.render_permissions(
            prediction.access, _ValueFormatter(prediction).format_line, verbose=verbose
        )
        for stack in prediction.stacks:
            yield _render_stack(prediction, stack, verbose=verbose)
        yield _render_summary(prediction)
    for name in gone:
        yield Text(f"params/{name}.json was removed. Its stacks remain until `deploy.py destroy`.", style="yellow")


def _render_losses(prediction: Prediction) -> Iterator[RenderableType]:
    formatter = _ValueFormatter(prediction)
    if prediction.destructive:
        tree = Tree(Text("Data loss", style="bold red"))
        for change in prediction.destructive:
            branch = tree.add(_render_change(prediction, change, full=True))
            for item in _find_causes(change):
                branch.add(_render_property(formatter, item))
        yield tree


def _render_stack(prediction: Prediction, stack: StackPrediction, *, verbose: bool) -> Tree:
    title = Text.assemble((stack.name, "bold"), (f" ({stack.region})", "dim"), "  ")
    if stack.kind == "nothing":
        return Tree(title + Text("nothing to change", style="dim"))
    tree = Tree(title + Text(f"{stack.kind}  ") + change_symbols.format_counts(stack.counts()))
    folded = set() if verbose else {change.key for change in stack.changes if _is_folded(change)}
    _add_changes(prediction, tree, stack, (), folded, verbose=verbose)
    formatter = _ValueFormatter(prediction)
    for difference in stack.outputs:
        before, after = change_symbols.shorten_pair(
            *formatter.format_pair(difference.path, difference.before, difference.after)
        )
        name = f"output {difference.name}: "
        tree.add(Text.assemble((name, "dim"), (before, "red"), " -> ", (after, "green")))
    if stack.tags:
        tree.add(Text(f"tags {', '.join(stack.tags)}: propagated to {stack.retagged} resources", style="dim"))
    return tree


def _is_folded(change: PredictedChange) -> bool:
    return bool(change.follows) and not change.is_destructive


def _add_changes(
    prediction: Prediction,
    tree: Tree,
    stack: StackPrediction,
    prefix: tuple[str, ...],
    folded: set[Key],
    *,
    verbose: bool,
) -> None:
    """Add the changes of one level and the nested stacks below it, the most severe first."""
    inside = [change for change in stack.changes if change.path[: len(prefix)] == prefix]
    groups: dict[str, list[PredictedChange]] = {}
    for change in inside:
        nested = change.path[len(prefix)] if len(change.path) > len(prefix) + 1 else ""
        groups.setdefault(nested, []).append(change)
    entries: list[tuple[tuple[bool, int, str], str, PredictedChange | None]] = [
        (_severity_key([change], change.logical_id), "", change) for change in groups.pop("", [])
    ]
    entries += [(_severity_key(changes, nested), nested, None) for nested, changes in groups.items()]
    for _, nested, one in sorted(entries, key=lambda item: item[0]):
        if one is not None:
            if one.key not in folded:
                _add_change(prediction, tree, one, verbose=verbose)
            continue
        shown = [item for item in groups[nested] if item.key not in folded]
        if not shown:
            continue
        found = count_changes(groups[nested])
        branch = tree.add(Text.assemble((nested, "bold"), "  ") + change_symbols.format_counts(found))
        if verbose or set(found) != {"add"} or found["add"] <= _FEW:
            _add_changes(prediction, branch, stack, (*prefix, nested), folded, verbose=verbose)


def _severity_key(changes: Sequence[PredictedChange], name: str) -> tuple[bool, int, str]:
    return (
        not any(item.is_destructive for item in changes),
        change_symbols.severity_rank(item.effect for item in changes),
        name,
    )


def _add_change(prediction: Prediction, tree: Tree, change: PredictedChange, *, verbose: bool) -> None:
    formatter = _ValueFormatter(prediction)
    branch = tree.add(_render_change(prediction, change))
    for item in change.properties:
        if item.follows is None or verbose:
            branch.add(_render_property(formatter, item))
    if change.note:
        branch.add(Text(formatter.format_line(change.note), style="yellow"))
    followers = [item for item in prediction.changes if change.key in prediction.roots(item)]
    if followers and not verbose:
        only = [item for item in followers if item.follows]
        text = Text("its new id causes ", style="dim") + change_symbols.format_counts(count_changes(only))
        branch.add(
            text.append(f": {permissions.shorten(', '.join('/'.join(item.path) for item in only), 110)}", style="dim")
        )


def _render_change(prediction: Prediction, change: PredictedChange, *, full: bool = False) -> Text:
    mark, style = change_symbols.SYMBOLS[change.effect]
    name = "/".join(change.path) if full else change.logical_id
    line = Text.assemble((f"{mark} {name}", style), "  ", (change.type, "dim"))
    if change.effect in {"replace", "may replace"}:
        line.append(f"  {change.effect}", style=style)
    if change.is_destructive:
        line.append(f"  {change.loss}", style="bold red")
    if change.policy in FATES:
        line.append(f", {FATES[change.policy]}", style="cyan")
    if roots := prediction.roots(change):
        line.append(f"  follows {', '.join(_format_key(key) for key in roots)}", style="dim")
    return line


def _find_causes(change: PredictedChange) -> list[PredictedProperty]:
    return [item for item in change.properties if item.recreation is not Recreation.NEVER]


def _render_property(formatter: _ValueFormatter, item: PredictedProperty) -> Text:
    if item.follows is not None:
        return Text.assemble(
            (f"{_format_name(item)}: follows {_format_key(item.follows)}", "dim"), _describe_recreation(item)
        )
    before, after = change_symbols.shorten_pair(*_format_sides(formatter, item))
    return Text.assemble(
        f"{_format_name(item)}: ", (before, "red"), " -> ", (after, "green"), _describe_recreation(item)
    )


def _describe_recreation(item: PredictedProperty) -> tuple[str, str]:
    reason = _REQUIRES.get(item.recreation, "")
    return (f"  {reason}" if reason else "", "magenta")


def _render_summary(prediction: Prediction) -> Text:
    if prediction.is_empty:
        return Text("Nothing to change.", style="green")
    total = Counter(count_changes(prediction.changes))
    text = Text("Changes: ") + change_symbols.format_counts(total)
    if number := len(prediction.impossible):
        text.append(f"; {number} of them {'are' if number > 1 else 'is'} impossible", style="bold red")
    if number := len(prediction.destructive):
        text.append(f"; {number} of them lose{'s' * (number == 1)} data", style="bold red")
    if number := len(prediction.broader):
        text.append(f"; {number} resource{'s' * (number > 1)} with wider permissions", style="bold red")
    return text.append("  (predicted)", style="dim")


# --- JSON


def render_json(predictions: Sequence[Prediction], against: str, gone: Sequence[str]) -> str:
    """Return the predictions as JSON. Keys may be added; a removed key requires a new schema number."""
    document = {
        "schema": SCHEMA,
        "against": against,
        "environments": [_build_environment(prediction) for prediction in predictions],
        "removedEnvironments": list(gone),
    }
    return json.dumps(document, indent=2)


def _build_environment(prediction: Prediction) -> dict[str, Any]:
    formatter = _ValueFormatter(prediction)
    return {
        "environment": prediction.environment,
        "isNew": prediction.is_new,
        "isEmpty": prediction.is_empty,
        "counts": count_changes(prediction.changes),
        "impossible": impossible.build_impossible(prediction.impossible, formatter.format_line),
        "newSecrets": impossible.build_new_secrets(prediction.new_secrets),
        "destructive": [["/".join(change.path), change.effect] for change in prediction.destructive],
        "stacks": [
            {
                "stack": stack.name,
                "region": stack.region,
                "kind": stack.kind,
                "counts": stack.counts(),
                "changes": [_build_change(prediction, formatter, change) for change in stack.changes],
                "outputs": [
                    {"name": item.name, **_build_values(formatter.format_pair(item.path, item.before, item.after))}
                    for item in stack.outputs
                ],
                "tags": list(stack.tags),
            }
            for stack in prediction.stacks
        ],
        "access": [
            {
                "path": list(access.path),
                "type": access.type,
                "aspect": access.aspect,
                "broader": access.is_broader,
                "severe": access.is_severe,
                "lines": [
                    {
                        "sign": line.sign,
                        "text": formatter.format_line(line.text),
                        "broader": formatter.format_line(line.broader),
                        "severe": line.severe,
                    }
                    for line in access.lines
                ],
            }
            for access in prediction.access
        ],
    }


def _build_change(prediction: Prediction, formatter: _ValueFormatter, change: PredictedChange) -> dict[str, Any]:
    return {
        "path": list(change.path),
        "type": change.type,
        "effect": change.effect,
        "loss": change.loss,
        "policy": change.policy,
        "note": formatter.format_line(change.note),
        "follows": [_format_key(key) for key in prediction.roots(change)],
        "properties": [
            {
                "name": _format_name(item),
                **_build_values(_format_sides(formatter, item)),
                "recreation": _RECREATION[item.recreation],
                "follows": _format_key(item.follows) if item.follows else None,
            }
            for item in change.properties
        ],
    }


def _build_values(sides: tuple[str | None, str | None]) -> dict[str, str | None]:
    return {"before": sides[0], "after": sides[1]}


# --- markdown


def render_markdown(predictions: Sequence[Prediction], against: str, gone: Sequence[str]) -> str:
    """Return a comment for a pull request: data loss and wider permissions first, the rest folded."""
    lines: list[str] = []
    for prediction in predictions:
        lines += [f"### Predicted changes of `{prediction.environment}` against `{against}`", ""]
        lines += [_render_summary(prediction).plain, ""]
        lines += _format_losses_and_permissions(prediction)
        if not prediction.is_empty:
            lines += ["| Stack | Region | |", "| --- | --- | --- |"]
            lines += [
                f"| `{stack.name}` | {stack.region} | {_format_kind(stack)} |"
                for stack in prediction.stacks
                if stack.kind != "nothing"
            ]
            lines.append("")
        lines += _format_changes(prediction)
    lines += [f"`params/{name}.json` was removed. Its stacks remain until `deploy.py destroy`." for name in gone]
    return truncate("\n".join(lines).rstrip() + "\n")


def _format_kind(stack: StackPrediction) -> str:
    return f"{stack.kind}: {change_symbols.format_counts(stack.counts()).plain}"


def _format_losses_and_permissions(prediction: Prediction) -> list[str]:
    formatter = _ValueFormatter(prediction)
    lines = impossible.format_impossible(prediction.impossible, formatter.format_line)
    lines += impossible.format_new_secrets(prediction.new_secrets)
    if prediction.destructive:
        lines.append("**Data loss**")
        lines.append("")
        for change in prediction.destructive:
            fate = f", {FATES[change.policy]}" if change.policy in FATES else ""
            lines.append(f"- {change.effect} {format_code('/'.join(change.path))} ({change.type}): {change.loss}{fate}")
            lines += [f"  - {_format_property(formatter, item)}" for item in _find_causes(change)]
        lines.append("")
    if prediction.broader:
        lines += ["**Permissions widen**", ""]
        for access in prediction.broader:
            lines.append(f"- {format_code('/'.join(access.path))} {access.aspect}")
            lines += [
                f"  - {format_code(f'{line.sign} {permissions.shorten(formatter.format_line(line.text))}')}"
                + (f" **{formatter.format_line(line.broader)}**" if line.broader else "")
                for line in access.lines
            ]
        lines.append("")
    return lines


def _format_changes(prediction: Prediction) -> list[str]:
    shown = [change for change in prediction.changes if change.effect != "add" and not _is_folded(change)]
    if not shown:
        return []
    formatter = _ValueFormatter(prediction)
    following = sum(1 for change in prediction.changes if _is_folded(change))
    title = f"{len(shown)} changes" + (f", and {following} that only follow new ids" if following else "")
    lines = ["<details>", f"<summary>{title}</summary>", ""]
    for change in shown:
        lines.append(f"- {change.effect} {format_code('/'.join(change.path))} ({change.type})")
        lines += [f"  - {_format_property(formatter, item)}" for item in change.properties if item.follows is None]
        lines += [f"  - {formatter.format_line(change.note)}"] * bool(change.note)
    return [*lines, "", "</details>", ""]


def _format_property(formatter: _ValueFormatter, item: PredictedProperty) -> str:
    reason = f" ({_REQUIRES[item.recreation]})" if item.recreation in _REQUIRES else ""
    if item.follows is not None:
        return f"{format_code(_format_name(item))} follows {format_code(_format_key(item.follows))}{reason}"
    before, after = change_symbols.shorten_pair(*_format_sides(formatter, item))
    return f"{format_code(_format_name(item))}: {format_code(before)} -> {format_code(after)}{reason}"
