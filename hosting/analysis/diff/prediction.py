"""Predicts the change set that CloudFormation would compute for two resolved environments.

The differences of each resource are computed first. Then replacements propagate: a resource that refers to the id or an
attribute of a replaced resource gets a new value, and is replaced too if CloudFormation cannot update that value in
place. References across stacks are tokens that name the resource (tokens.py). Outputs and parameters therefore need no
tracking, and no placeholder hides a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from hosting.analysis.diff.compare import Difference, Path, compare_documents, format_path
from hosting.analysis.diff.impossible import IDENTITIES, Impossible, find_impossible
from hosting.analysis.diff.permissions import PermissionChange, compare_permissions
from hosting.analysis.diff.replacement import Recreation, find_recreation, receives_stack_tags
from hosting.analysis.resolve import ResolvedEnvironment, Resource, Stack, top_level_stacks
from hosting.model.effects import DESTRUCTIVE_EFFECTS, EFFECTS, count_effects, describe_loss
from hosting.model.templates import NESTED_STACK
from hosting.model.tokens import REF, Json, Origin, origins

# Attributes beside Properties that CloudFormation updates or records.
_ATTRIBUTES = ("CreationPolicy", "DeletionPolicy", "Metadata", "UpdatePolicy", "UpdateReplacePolicy")

Key = tuple[str, str]  # stack path, logical id


@dataclass(frozen=True)
class PredictedProperty:
    """One property that differs."""

    path: Path
    before: Json
    after: Json
    recreation: Recreation
    # The replaced resource that this value identifies; None if the value differs by itself.
    follows: Key | None = None

    @property
    def name(self) -> str:
        return format_path(self.path)


@dataclass(frozen=True)
class PredictedChange:
    """The predicted effect on one resource."""

    stack: str
    logical_id: str
    type: str
    effect: str
    properties: tuple[PredictedProperty, ...] = ()
    # A description of the data that is lost with the resource, or "" if none is lost.
    loss: str = ""
    # The policy that applies to the old resource: Retain, Snapshot, Delete.
    policy: str = ""
    note: str = ""

    @property
    def key(self) -> Key:
        return self.stack, self.logical_id

    @property
    def path(self) -> tuple[str, ...]:
        """The path as `plan` has it: nested stacks, then the resource, without the stack of the chain."""
        return (*self.stack.split("/")[1:], self.logical_id)

    @property
    def follows(self) -> tuple[Key, ...]:
        """The resources whose replacement causes this change; empty if a property differs by itself."""
        if not self.properties or any(item.follows is None for item in self.properties):
            return ()
        return tuple(dict.fromkeys(item.follows for item in self.properties if item.follows))

    @property
    def is_destructive(self) -> bool:
        return bool(self.loss) and self.effect in DESTRUCTIVE_EFFECTS


@dataclass(frozen=True)
class StackPrediction:
    """One stack of the chain, including its nested stacks."""

    path: str
    name: str
    region: str
    kind: str  # create, update, nothing
    changes: tuple[PredictedChange, ...] = ()
    outputs: tuple[Difference, ...] = ()
    # Names of the stack's tags that differ; CloudFormation propagates them to `retagged` resources.
    tags: tuple[str, ...] = ()
    retagged: int = 0

    def counts(self) -> dict[str, int]:
        return count_changes(self.changes)


@dataclass(frozen=True)
class NewSecret:
    """A secret that gets a newly generated value, and the resources that contain the value or its ARN."""

    stack: str
    logical_id: str
    reason: str
    users: tuple[Key, ...]

    @property
    def path(self) -> tuple[str, ...]:
        """Return the nested stacks and the logical id, without the top-level stack."""
        return (*self.stack.split("/")[1:], self.logical_id)

    @property
    def user_names(self) -> tuple[str, ...]:
        """Return the users as they are shown: nested stacks and logical id."""
        return tuple("/".join((*stack.split("/")[1:], logical_id)) for stack, logical_id in self.users)


@dataclass(frozen=True)
class Prediction:
    """The predicted effect on an environment."""

    environment: str
    stacks: tuple[StackPrediction, ...]
    access: tuple[PermissionChange, ...] = ()  # the worst first
    # True if the environment is new, so that there is nothing to compare with.
    is_new: bool = False
    hidden: tuple[str, ...] = field(default=(), repr=False)  # values of NoEcho parameters, which must not be shown
    # Updates that AWS refuses although CloudFormation computes a change set for them.
    impossible: tuple[Impossible, ...] = ()
    new_secrets: tuple[NewSecret, ...] = ()

    @cached_property
    def changes(self) -> tuple[PredictedChange, ...]:
        return tuple(change for stack in self.stacks for change in stack.changes)

    @property
    def is_empty(self) -> bool:
        return all(stack.kind == "nothing" for stack in self.stacks)

    @property
    def destructive(self) -> tuple[PredictedChange, ...]:
        """The stateful resources that are replaced or deleted."""
        return tuple(change for change in self.changes if change.is_destructive)

    @property
    def broader(self) -> tuple[PermissionChange, ...]:
        return tuple(item for item in self.access if item.is_broader)

    def roots(self, change: PredictedChange) -> tuple[Key, ...]:
        """Return the resources whose replacement is the first cause of a change."""
        found: list[Key] = []
        seen: set[Key] = set()
        waiting = list(change.follows)
        by_key = {item.key: item for item in self.changes}
        while waiting:
            key = waiting.pop(0)
            if key in seen:
                continue
            seen.add(key)
            further = by_key[key].follows if key in by_key else ()
            waiting += further
            if not further:
                found.append(key)
        return tuple(found)


def count_changes(changes: Iterable[PredictedChange]) -> dict[str, int]:
    """Return how many changes have each effect, the most severe first."""
    return count_effects(change.effect for change in changes)


def predict(old: ResolvedEnvironment | None, new: ResolvedEnvironment) -> Prediction:
    """Predict the effect of deploying `new` to an environment that is deployed as `old`."""
    names = {path: stack.name for path, stack in top_level_stacks(new.environment).items()}
    # A stack with another name is another stack; the old one is not changed.
    known = (
        {}
        if old is None
        else {
            stack.path: stack
            for stack in old.chain
            if top_level_stacks(old.environment)[stack.path].name == names.get(stack.path) and _same_region(stack, new)
        }
    )
    before = _resources(known.values())
    after = _resources(new.chain)
    regions = _regions(new.chain)
    changes = _ReplacementPropagation(before, after, regions).changes()
    retag = _tag_differences(old, new) if old else ()
    stacks = []
    for top in new.chain:
        was = known.get(top.path)
        own = tuple(change for change in changes if change.stack.split("/")[0] == top.path)
        own += tuple(_changed_nested_stacks(was, top, own)) if was else ()
        outputs = tuple(compare_documents(dict(was.outputs), dict(top.outputs))) if was else ()
        # Bootstrap is shared by the environments and does not take their tags.
        tags = retag if was and not top.path.startswith("bootstrap") else ()
        kind = "create" if was is None else "update" if own or outputs or tags else "nothing"
        ordered = tuple(sorted(own, key=_severity_key))
        touched = _count_retagged(top) if tags else 0
        stacks.append(StackPrediction(top.path, names[top.path], top.region, kind, ordered, outputs, tags, touched))
    found = compare_permissions(old, new) if old and known else ()
    access = sorted(found, key=lambda one: (not one.is_severe, not one.is_broader))
    return Prediction(
        new.name,
        tuple(stacks),
        tuple(access),
        not known,
        tuple(sorted(_secret_values(old) | _secret_values(new))),
        find_impossible(before, after, changes, {**regions, **_regions(known.values())}),
        tuple(_find_new_secrets(before, after, changes)),
    )


def _same_region(stack: Stack, new: ResolvedEnvironment) -> bool:
    return any(other.path == stack.path and other.region == stack.region for other in new.chain)


def _regions(chain: Iterable[Stack]) -> dict[str, str]:
    return {stack.path: stack.region for top in chain for stack in top.walk()}


def _find_new_secrets(
    before: Mapping[Key, Resource], after: Mapping[Key, Resource], changes: Iterable[PredictedChange]
) -> Iterator[NewSecret]:
    """Yield the secrets whose generated value changes.

    A change of GenerateSecretString creates a new version (Template Reference, AWS::SecretsManager::Secret).
    """
    for change in changes:
        if change.type != "AWS::SecretsManager::Secret" or change.key not in before or change.key not in after:
            continue
        generated = any(item.path[1:2] == ("GenerateSecretString",) for item in change.properties)
        if change.effect == "replace" and "GenerateSecretString" in after[change.key].properties:
            reason = "it is replaced"
        elif generated:
            reason = "GenerateSecretString changes"
        else:
            continue
        users = tuple(
            key
            for key, resource in after.items()
            if key != change.key
            and any((one.stack, one.logical_id) == change.key for one in origins(dict(resource.properties)))
        )
        yield NewSecret(*change.key, reason, users)


def _resources(chain: Iterable[Stack]) -> dict[Key, Resource]:
    return {
        (stack.path, logical_id): resource
        for top in chain
        for stack in top.walk()
        for logical_id, resource in stack.resources.items()
        if resource.type != NESTED_STACK
    }


class _ReplacementPropagation:
    """Propagates replacements from resources that differ by themselves until nothing changes any more."""

    def __init__(
        self, before: Mapping[Key, Resource], after: Mapping[Key, Resource], regions: Mapping[str, str]
    ) -> None:
        self.before, self.after, self.regions = before, after, regions
        self.common = [key for key in after if key in before]
        self.own = {key: self._own_differences(key) for key in self.common}
        self.followed: dict[Key, dict[tuple[Path, Key], PredictedProperty]] = {key: {} for key in self.common}
        self.users: dict[Key, list[tuple[Key, tuple[str, ...], Origin, str]]] = {}
        for key in self.common:
            for path, text in _texts(dict(after[key].properties), ("Properties",)):
                for source in origins(text):
                    found = (source.stack, source.logical_id)
                    if found != key:
                        self.users.setdefault(found, []).append((key, path, source, text))

    def changes(self) -> list[PredictedChange]:
        """Return all changes after the propagation."""
        waiting = [key for key in self.common if self.own[key] or self._has_other_type(key)]
        while waiting:
            source = waiting.pop()
            for user, path, taken, text in self.users.get(source, ()):
                if self._gets_new_value(source, taken) and self._propagate(user, path, source, text):
                    waiting.append(user)
        found = [self._describe_change(key) for key in self.common if self._effect(key)]
        found += [PredictedChange(*key, item.type, "add") for key, item in self.after.items() if key not in self.before]
        found += [
            self._with_loss(PredictedChange(*key, item.type, "delete"), item)
            for key, item in self.before.items()
            if key not in self.after
        ]
        return found

    def _own_differences(self, key: Key) -> list[PredictedProperty]:
        before, after = self.before[key], self.after[key]
        found = list(compare_documents(dict(before.properties), dict(after.properties), ("Properties",)))
        for name in _ATTRIBUTES:
            found += compare_documents(before.attributes.get(name), after.attributes.get(name), (name,))
        region = self.regions[key[0]]
        return [
            PredictedProperty(item.path, item.before, item.after, find_recreation(after.type, region, item))
            for item in found
        ]

    def _has_other_type(self, key: Key) -> bool:
        return self.before[key].type != self.after[key].type

    def _effect(self, key: Key) -> str:
        if self._has_other_type(key):
            return "replace"
        properties = [*self.own[key], *self.followed[key].values()]
        if not properties:
            return ""
        worst = max(item.recreation for item in properties)
        return {Recreation.ALWAYS: "replace", Recreation.MAY: "may replace"}.get(worst, "modify")

    def _gets_new_value(self, source: Key, taken: Origin) -> bool:
        """Return whether the value that another resource reads may become a new one."""
        if self._effect(source) in {"replace", "may replace"}:
            return True
        if taken.attribute == REF:
            return False
        # An update in place keeps the identifiers of a resource. An attribute that shows a property (Endpoint.Port)
        # changes with it.
        shown = taken.attribute.rsplit(".", 1)[-1]
        changed = (*self.own[source], *self.followed[source].values())
        return any(item.path[:2] == ("Properties", shown) for item in changed)

    def _propagate(self, user: Key, path: tuple[str, ...], source: Key, text: str) -> bool:
        # The new value is unknown but different, so the property is compared with a missing one.
        worst = find_recreation(self.after[user].type, self.regions[user[0]], Difference(path, None, text))
        if self._effect(source) == "may replace":
            worst = min(worst, Recreation.MAY)
        mark = (path, source)
        known = self.followed[user].get(mark)
        if known is not None and known.recreation >= worst:
            return False
        if any(path[: len(item.path)] == item.path for item in self.own[user]):
            return False  # the property or its parent differs by itself
        effect = self._effect(user)
        self.followed[user][mark] = PredictedProperty(path, text, text, worst, source)
        return self._effect(user) != effect

    def _describe_change(self, key: Key) -> PredictedChange:
        before, after = self.before[key], self.after[key]
        effect = self._effect(key)
        note = ""
        if self._has_other_type(key):
            note = (
                f"was {before.type}: CloudFormation rejects another type for the same logical id; rename the resource"
            )
        elif effect == "replace" and (name := self._fixed_name(key)):
            note = f"its name {name} is in use while the old resource exists, so CloudFormation fails; change the name"
        properties = (*self.own[key], *self.followed[key].values())
        return self._with_loss(PredictedChange(*key, after.type, effect, properties, note=note), after)

    def _with_loss(self, change: PredictedChange, resource: Resource) -> PredictedChange:
        """Return the change with the deletion policy of the old resource and the description of the loss."""
        if change.effect not in DESTRUCTIVE_EFFECTS:
            return change
        attribute = "DeletionPolicy" if change.effect == "delete" else "UpdateReplacePolicy"
        default = "Snapshot" if resource.type == "AWS::RDS::DBCluster" and change.effect == "delete" else "Delete"
        policy = str(resource.attributes.get(attribute, default))
        policy = "Retain" if policy == "RetainExceptOnCreate" else policy
        return replace(change, policy=policy, loss=describe_loss(resource.type, policy, resource.properties))

    def _fixed_name(self, key: Key) -> str:
        """Return the unchanged physical name of a resource that must be unique, or an empty string."""
        resource = self.after[key]
        known = IDENTITIES.get(resource.type)
        value = resource.get(known.name) if known and known.noun == "name" else None
        return str(value) if known and value is not None and value == self.before[key].get(known.name) else ""


def _texts(value: Json, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every text inside a value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            name = next((item[key] for key in ("Name", "Sid", "Key") if isinstance(item, dict) and key in item), index)
            yield from _texts(item, (*path, f"[{name}]"))


def _changed_nested_stacks(
    before: Stack, after: Stack, changes: tuple[PredictedChange, ...]
) -> Iterator[PredictedChange]:
    """Yield nested stacks that change although no resource in them does: outputs, descriptions, attributes."""
    was = {stack.path: stack for stack in before.walk()}
    for stack in after.walk():
        if stack.path not in was:
            continue
        for child in stack.children:
            if child.path not in was:
                continue
            logical_id = child.path.rsplit("/", 1)[1]
            touched = any(change.stack == child.path or change.stack.startswith(f"{child.path}/") for change in changes)
            old_one, new_one = was[stack.path].resources[logical_id], stack.resources[logical_id]
            found = list(compare_documents(dict(old_one.properties), dict(new_one.properties), ("Properties",)))
            shown = [item for item in found if item.path[1] not in {"TemplateURL", "Parameters"}]
            for name in _ATTRIBUTES:
                shown += compare_documents(old_one.attributes.get(name), new_one.attributes.get(name), (name,))
            if touched and not shown:
                continue
            is_same = was[child.path].template.text == child.template.text
            if not touched:
                shown = [*shown, *(item for item in found if item not in shown and not _is_sibling_only(item))]
            if shown or (not touched and not is_same):
                note = "" if is_same or touched else "no resource in it changes; outputs, descriptions or parameters do"
                properties = tuple(
                    PredictedProperty(item.path, item.before, item.after, Recreation.NEVER) for item in shown
                )
                yield PredictedChange(stack.path, logical_id, NESTED_STACK, "modify", properties, note=note)


def _is_sibling_only(difference: Difference) -> bool:
    """Return whether the difference is the template's URL, which follows the template's content."""
    return difference.path[1:2] == ("TemplateURL",)


def _tag_differences(old: ResolvedEnvironment, new: ResolvedEnvironment) -> tuple[str, ...]:
    before, after = old.environment.tags, new.environment.tags
    return tuple(sorted(key for key in {*before, *after} if before.get(key) != after.get(key)))


def _count_retagged(top: Stack) -> int:
    return sum(
        receives_stack_tags(resource.type, stack.region)
        for stack in top.walk()
        for resource in stack.resources.values()
    )


def _secret_values(env: ResolvedEnvironment | None) -> set[str]:
    return {
        str(stack.parameters[name])
        for stack in (env.stacks.values() if env else ())
        for name, declared in stack.template.section("Parameters").items()
        if declared.get("NoEcho") in (True, "true") and stack.parameters.get(name)
    }


def _severity_key(change: PredictedChange) -> tuple[bool, int, bool, str]:
    """Return the sort key: loss of data first, then the worst effect, then changes by themselves."""
    return not change.is_destructive, EFFECTS.index(change.effect), bool(change.follows), change.logical_id
