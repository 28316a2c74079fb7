"""Plans for programs and for comments on pull requests: JSON and markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hosting.analysis.diff.permissions import Access
from hosting.cli.rendering import change_symbols, permissions
from hosting.cli.rendering.plan_text import FATES, Review, because, later, summary
from hosting.cli.support.plan_permissions import access_changes
from hosting.cli.support.plan_properties import Value, values
from hosting.deployer.change_sets import Change
from hosting.deployer.deployment import Kind, StackPlan
from hosting.deployer.safeguards.gates import Loss

# Described in docs/plan.schema.json. New keys may come; none goes or changes its meaning without a new number.
SCHEMA = "hosting-platform/plan/1"

# What GitHub takes as one comment.
LIMIT = 65_536
_CUT = "\n\n_This plan is longer than a comment may be and is cut here; `deploy.py plan` shows all of it._\n"


def as_json(review: Review, environment: str, account: str) -> dict[str, Any]:
    """The whole plan as data."""
    access = access_changes(review.plans)
    return {
        "schema": SCHEMA,
        "environment": environment,
        "account": account,
        "changes": any(plan.kind is not Kind.NOTHING for plan in review.plans),
        "counts": _ordered(review.counts()),
        "losses": [_loss_json(review, one) for one in review.losses],
        "access": [_access_json(review, one) for one in access],
        "stacks": [_stack_json(review, plan) for plan in review.plans],
    }


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return {effect: counts[effect] for effect in change_symbols.EFFECTS if counts.get(effect)}


def _loss_json(review: Review, one: Loss) -> dict[str, Any]:
    return {
        "name": one.name,
        "stack": one.stack.name,
        "type": one.type,
        "effect": one.effect,
        "what": one.what,
        "policy": one.policy,
        "allowed": review.allowed.covers(one),
        "option": one.option,
    }


def _access_json(review: Review, access: Access) -> dict[str, Any]:
    return {
        "stack": access.stack.split("/")[0],
        "path": list(access.path),
        "type": access.type,
        "aspect": access.aspect,
        "broader": access.is_broader,
        "severe": access.is_severe,
        "lines": [
            {
                "sign": line.sign,
                "text": review.words(line.text),
                "broader": review.words(line.broader),
                "severe": line.severe,
            }
            for line in permissions.ordered(access)
        ],
    }


def _stack_json(review: Review, plan: StackPlan) -> dict[str, Any]:
    changes = list(plan.change_set.walk()) if plan.change_set is not None else []
    changes.sort(key=lambda item: change_symbols.worst([item[1].effect]))
    return {
        "stack": plan.stack.name,
        "region": plan.stack.region,
        "kind": str(plan.kind),
        "note": plan.note,
        "after": [stack.name for stack in plan.after],
        "counts": plan.change_set.counts() if plan.change_set is not None else {},
        "derived": plan.change_set.derived if plan.change_set is not None else 0,
        "changes": [_change_json(review, (*path, change.logical_id), change) for path, change in changes],
    }


def _change_json(review: Review, path: tuple[str, ...], change: Change) -> dict[str, Any]:
    return {
        "path": list(path),
        "type": change.resource_type,
        "effect": change.effect,
        "because": because(change, review.hidden),
        "policy": change.policy_action,
        "physicalId": change.physical_id,
        "properties": [_value_json(value) for value in values(change, review.hidden)],
    }


def _value_json(value: Value) -> dict[str, Any]:
    return {
        "name": value.name,
        "before": value.before,
        "after": value.after,
        "recreation": value.recreation or "never",
        "dynamic": value.dynamic,
        "cause": value.cause,
    }


# --- markdown


def as_markdown(review: Review, environment: str, limit: int = LIMIT) -> str:
    """For a comment on a pull request: the worst in the open, the rest folded, never longer than a comment may be."""
    lines = [f"### Plan for `{environment}`", "", summary(review).plain, ""]
    lines += _losses(review)
    access = access_changes(review.plans)
    lines += _access(review, "Gets broader", [one for one in access if one.is_broader])
    lines += ["| Stack | Region | |", "| --- | --- | --- |"]
    lines += [f"| `{plan.stack.name}` | {plan.stack.region} | {_said(plan)} |" for plan in review.plans]
    lines.append("")
    lines += _folded(_changes(review), "changes that are more than additions")
    quiet = [one for one in access if not one.is_broader]
    lines += _folded(_access(review, "", quiet), "permissions and rules that change without getting broader")
    return cut("\n".join(lines).rstrip() + "\n", limit)


def cut(text: str, limit: int = LIMIT) -> str:
    """The text, ended at a line with a note when it is too long. Folded parts that were open are closed."""
    if len(text) <= limit:
        return text
    closing = "\n</details>\n"
    head = text[: limit - len(_CUT) - len(closing)].rpartition("\n")[0]
    if head.count("<details>") > head.count("</details>"):
        head += closing
    return head + _CUT


def _losses(review: Review) -> list[str]:
    found = review.losses
    if not found:
        return []
    lines = ["**Loses data, or everything that hangs on it**", ""]
    for one in found:
        fate = f", {FATES[one.policy]}" if one.policy in FATES else ""
        said = "allowed" if review.allowed.covers(one) else f"refused without {_code(one.option)}"
        lines.append(f"- {one.effect} {_code(one.name)} ({one.type}: {one.what}{fate}): {said}")
    return [*lines, ""]


def _access(review: Review, title: str, found: list[Access]) -> list[str]:
    if not found:
        return []
    lines = [f"**{title}**", ""] if title else []
    for one in found:
        lines.append(f"- {_code('/'.join(one.path))} {one.aspect}")
        for line in permissions.ordered(one):
            what = _code(f"{line.sign} {permissions.short(review.words(line.text))}")
            lines.append(f"  - {what}" + (f" **{_plain(review.words(line.broader))}**" if line.broader else ""))
    return [*lines, ""]


def _said(plan: StackPlan) -> str:
    if plan.kind is Kind.LATER:
        return later(plan)
    if plan.change_set is None:
        return "nothing to change"
    return f"{plan.kind}: {change_symbols.counts(plan.change_set.counts()).plain}"


def _changes(review: Review) -> list[str]:
    found = [
        ((*path, change.logical_id), change)
        for plan in review.plans
        if plan.change_set is not None
        for path, change in plan.change_set.walk()
        if change.effect != "add"
    ]
    lines = []
    for path, change in sorted(found, key=lambda item: change_symbols.worst([item[1].effect])):
        why = f": {because(change, review.hidden)}".removesuffix(": ")
        fate = f", {FATES[change.policy_action]}" if change.policy_action in FATES else ""
        lines.append(f"- {change.effect} {_code('/'.join(path))} ({change.resource_type}){why}{fate}")
        if change.action == "Modify":
            lines += [f"  - {_value(value)}" for value in values(change, review.hidden)]
    return lines


def _value(value: Value) -> str:
    if value.before is None and value.after is None:
        return _code(value.name)
    before, after = change_symbols.excerpts(value.before, value.after)
    return f"{_code(value.name)}: {_code(before)} -> {_code(after)}"


def _folded(lines: list[str], title: str) -> list[str]:
    if not lines:
        return []
    number = sum(1 for line in lines if line.startswith("- "))
    return ["<details>", f"<summary>{number} {title}</summary>", "", *lines, "", "</details>", ""]


def _plain(text: str) -> str:
    """Text in which nothing is markup: `*` is a wildcard more often than not."""
    return re.sub(r"([*_`<>|\\])", r"\\\1", text)


def _code(text: str) -> str:
    """A code span, whatever backticks are in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"{fence}{text}{fence}"
