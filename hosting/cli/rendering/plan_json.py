"""Render plans as JSON for programs and as Markdown for comments on pull requests."""

from __future__ import annotations

from typing import Any

from hosting.analysis.diff.permissions import PermissionChange
from hosting.cli.rendering import change_symbols, impossible, permissions
from hosting.cli.rendering.markdown import LIMIT, escape, fold, format_code, truncate
from hosting.cli.rendering.plan_text import (
    FATES,
    PlanReview,
    describe_deferred_stack,
    describe_replacement,
    render_summary,
)
from hosting.cli.support.plan_permissions import find_permission_changes
from hosting.cli.support.plan_properties import PropertyChange, list_property_changes
from hosting.deployer.change_sets import Change
from hosting.deployer.deployment import Kind, StackPlan
from hosting.deployer.safeguards.gates import Loss

# Described in docs/plan.schema.json. Keys may be added. A removed or changed key requires a new schema number.
SCHEMA = "hosting-platform/plan/1"


def build_document(review: PlanReview, environment: str, account: str) -> dict[str, Any]:
    """Return the whole plan as a JSON document."""
    access = find_permission_changes(review.plans)
    return {
        "schema": SCHEMA,
        "environment": environment,
        "account": account,
        "changes": any(plan.kind is not Kind.NOTHING for plan in review.plans),
        "counts": review.counts(),
        "impossible": impossible.build_impossible(review.impossible, review.mask),
        "newSecrets": impossible.build_new_secrets(review.new_secrets),
        "declaredExceptions": list(review.exceptions),
        "monthlyCost": _build_cost(review),
        "losses": [_build_loss(review, one) for one in review.losses],
        "access": [_build_access(review, one) for one in access],
        "stacks": [_build_stack(review, plan) for plan in review.plans],
    }


def _build_cost(review: PlanReview) -> dict[str, Any] | None:
    """Return the cost in US dollars, idle and scaled out, or None if it is not known or nothing changes."""
    if review.cost is None:
        return None
    ranges = {"before": review.cost.before, "after": review.cost.after}
    return {name: {"idle": float(least), "scaledOut": float(most)} for name, (least, most) in ranges.items()}


def _build_loss(review: PlanReview, one: Loss) -> dict[str, Any]:
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


def _build_access(review: PlanReview, access: PermissionChange) -> dict[str, Any]:
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
                "text": review.mask(line.text),
                "broader": review.mask(line.broader),
                "severe": line.severe,
            }
            for line in permissions.sort_lines(access)
        ],
    }


def _build_stack(review: PlanReview, plan: StackPlan) -> dict[str, Any]:
    changes = list(plan.change_set.walk()) if plan.change_set is not None else []
    changes.sort(key=lambda item: change_symbols.severity_rank([item[1].effect]))
    return {
        "stack": plan.stack.name,
        "region": plan.stack.region,
        "kind": str(plan.kind),
        "note": plan.note,
        "after": [stack.name for stack in plan.after],
        "counts": plan.change_set.counts() if plan.change_set is not None else {},
        "derived": plan.change_set.derived if plan.change_set is not None else 0,
        "changes": [_build_change(review, (*path, change.logical_id), change) for path, change in changes],
    }


def _build_change(review: PlanReview, path: tuple[str, ...], change: Change) -> dict[str, Any]:
    return {
        "path": list(path),
        "type": change.resource_type,
        "effect": change.effect,
        "because": describe_replacement(change, review.hidden),
        "policy": change.policy_action,
        "physicalId": change.physical_id,
        "properties": [_build_value(value) for value in list_property_changes(change, review.hidden)],
    }


def _build_value(value: PropertyChange) -> dict[str, Any]:
    return {
        "name": value.name,
        "before": value.before,
        "after": value.after,
        "recreation": value.recreation or "never",
        "dynamic": value.dynamic,
        "cause": value.cause,
    }


# --- markdown


def render_markdown(review: PlanReview, environment: str, limit: int = LIMIT) -> str:
    """Return a comment for a pull request: data loss and wider permissions first, the rest folded, within the limit."""
    lines = [f"### Plan for `{environment}`", "", render_summary(review).plain, ""]
    lines += impossible.format_impossible(review.impossible, review.mask)
    lines += _format_losses(review)
    lines += impossible.format_new_secrets(review.new_secrets)
    if review.cost is not None:
        lines += [f"- {escape(review.cost.sentence)}", ""]
    if review.exceptions:
        lines += [*(f"- declared: {escape(sentence)}" for sentence in review.exceptions), ""]
    access = find_permission_changes(review.plans)
    lines += _format_permissions(review, "Permissions widen", [one for one in access if one.is_broader])
    lines += ["| Stack | Region | |", "| --- | --- | --- |"]
    lines += [f"| `{plan.stack.name}` | {plan.stack.region} | {_describe_stack(plan)} |" for plan in review.plans]
    lines.append("")
    lines += fold(_format_changes(review), "changes that are more than additions")
    others = [one for one in access if not one.is_broader]
    lines += fold(
        _format_permissions(review, "", others), "resources whose permissions and rules change without widening"
    )
    return truncate("\n".join(lines).rstrip() + "\n", limit)


def _format_losses(review: PlanReview) -> list[str]:
    found = review.losses
    if not found:
        return []
    lines = ["**Data loss**", ""]
    for one in found:
        fate = f", {FATES[one.policy]}" if one.policy in FATES else ""
        said = "allowed" if review.allowed.covers(one) else f"refused without {format_code(one.option)}"
        lines.append(f"- {one.effect} {format_code(one.name)} ({one.type}: {one.what}{fate}): {said}")
    return [*lines, ""]


def _format_permissions(review: PlanReview, title: str, found: list[PermissionChange]) -> list[str]:
    if not found:
        return []
    lines = [f"**{title}**", ""] if title else []
    for one in found:
        lines.append(f"- {format_code('/'.join(one.path))} {one.aspect}")
        for line in permissions.sort_lines(one):
            what = format_code(f"{line.sign} {permissions.shorten(review.mask(line.text))}")
            lines.append(f"  - {what}" + (f" **{escape(review.mask(line.broader))}**" if line.broader else ""))
    return [*lines, ""]


def _describe_stack(plan: StackPlan) -> str:
    if plan.kind is Kind.LATER:
        return describe_deferred_stack(plan)
    if plan.change_set is None:
        return "nothing to change"
    return f"{plan.kind}: {change_symbols.format_counts(plan.change_set.counts()).plain}"


def _format_changes(review: PlanReview) -> list[str]:
    found = [
        ((*path, change.logical_id), change)
        for plan in review.plans
        if plan.change_set is not None
        for path, change in plan.change_set.walk()
        if change.effect != "add"
    ]
    lines = []
    for path, change in sorted(found, key=lambda item: change_symbols.severity_rank([item[1].effect])):
        why = f": {describe_replacement(change, review.hidden)}".removesuffix(": ")
        fate = f", {FATES[change.policy_action]}" if change.policy_action in FATES else ""
        lines.append(f"- {change.effect} {format_code('/'.join(path))} ({change.resource_type}){why}{fate}")
        if change.action == "Modify":
            lines += [f"  - {_format_value(value)}" for value in list_property_changes(change, review.hidden)]
    return lines


def _format_value(value: PropertyChange) -> str:
    if value.before is None and value.after is None:
        return format_code(value.name)
    before, after = change_symbols.shorten_pair(value.before, value.after)
    return f"{format_code(value.name)}: {format_code(before)} -> {format_code(after)}"
