"""Compare the prediction of a plan with the change set of CloudFormation.

The prediction uses the deployed templates and the files, as `deploy.py diff` does for two commits. A difference has
one of these causes: drift, a placeholder value that CloudFormation counted as a change, or an outdated schema.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hosting.analysis.cost.difference import MonthlyCost
from hosting.analysis.cost.estimate import estimate_costs
from hosting.analysis.diff.impossible import Impossible
from hosting.analysis.diff.prediction import NewSecret, predict
from hosting.analysis.diff.prediction_comparison import Comparison, compare_with_change_set
from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.deployer import deployment
from hosting.deployer.aws import stacks
from hosting.deployer.aws.lookups import SERVICE_IS_NEW
from hosting.deployer.aws.stacks import Next
from hosting.deployer.deployment import Kind, StackPlan
from hosting.model.errors import PlatformError
from hosting.model.parameter_file import Environment
from hosting.model.shared_template import keep_deployed
from hosting.model.stack_order import COMPANIONS, ROOT, TEMPLATES, Stack, StackRole
from hosting.model.templates import WORKLOAD_TEMPLATES, Template, nested_template

if TYPE_CHECKING:
    from hosting.deployer.deployment import Context, States

Path = tuple[str, ...]


@dataclass(frozen=True)
class PredictionCheck:
    """The comparison for each stack that exists and has a change set or no changes."""

    comparisons: Mapping[Stack, Comparison]
    # The reason, if a prediction was not possible.
    problem: str = ""
    # Updates that AWS refuses although CloudFormation computed the change set.
    impossible: tuple[Impossible, ...] = ()
    new_secrets: tuple[NewSecret, ...] = ()
    # None without a change, or if it cannot be estimated.
    cost: MonthlyCost | None = None

    @property
    def agreed(self) -> int:
        return sum(len(item.agreed) for item in self.comparisons.values())

    def differences(self) -> Iterator[tuple[Stack, Path, str, str]]:
        """Yield stack, resource, predicted effect and actual effect. "nothing" means no change."""
        for stack, item in self.comparisons.items():
            yield from ((stack, path, "nothing", item.actual[path]) for path in item.missed)
            yield from ((stack, path, item.predicted[path], "nothing") for path in item.extra)
            yield from ((stack, path, *pair) for path, pair in item.different.items())

    def lines(self) -> Iterator[str]:
        """Yield the differences as text, or nothing if there are none."""
        if self.problem:
            yield f"Prediction is not possible: {self.problem}"
            return
        found = list(self.differences())
        if found:
            yield f"The prediction agrees with CloudFormation in {self.agreed} changes and differs in:"
        for stack, path, predicted, actual in found:
            yield f"  {stack.name} {'/'.join(path)}: predicted {predicted}, CloudFormation computed {actual}"

    def as_json(self) -> dict[str, Any]:
        return {
            "agreed": self.agreed,
            "problem": self.problem,
            "differences": [
                {"stack": stack.name, "region": stack.region, "path": list(path), "predicted": one, "actual": other}
                for stack, path, one, other in self.differences()
            ],
        }


def check_prediction(context: Context, states: States, plans: Sequence[StackPlan]) -> PredictionCheck:
    """Predict the changes of the plans from the deployed templates, and compare."""
    compared = [plan for plan in plans if plan.kind in {Kind.UPDATE, Kind.NOTHING} and states[plan.stack] is not None]
    if not compared:
        return PredictionCheck({}, cost=_estimate_creation(context))
    try:
        before, after = _resolve_both(context, states, plans, compared)
        prediction = predict(before, after)
    except PlatformError as error:
        return PredictionCheck({}, str(error))
    changes = any(plan.kind is not Kind.NOTHING for plan in plans)
    predicted = {stack.path: stack.changes for stack in prediction.stacks}
    comparisons = {}
    for plan in compared:
        found = {change.path: change.effect for change in predicted.get(_stack_path(context, plan.stack), ())}
        comparisons[plan.stack] = compare_with_change_set(found, _read_change_set(plan, found))
    # A first creation that did not finish has resources in its template that do not exist: nothing can conflict.
    finished = {_stack_path(context, plan.stack) for plan in compared if not plan.keep}
    return PredictionCheck(
        comparisons,
        impossible=tuple(one for one in prediction.impossible if one.stack.split("/")[0] in finished),
        new_secrets=tuple(one for one in prediction.new_secrets if one.stack.split("/")[0] in finished),
        cost=MonthlyCost(estimate_costs(before).total, estimate_costs(after).total) if changes else None,
    )


def _estimate_creation(context: Context) -> MonthlyCost | None:
    """Return the cost of an environment of which nothing exists, from its files."""
    environment = context.environment
    try:
        resolved = resolve(environment.templates, Environment.from_file(environment.name, environment.file))
    except PlatformError:
        return None
    return MonthlyCost((Decimal(0), Decimal(0)), estimate_costs(resolved).total)


def predict_conflicts(context: Context, plans: Sequence[StackPlan]) -> PredictionCheck:
    """Predict the changes of plans that are about to be executed. If all stacks are new, only their cost is known."""
    if not any(plan.kind is Kind.UPDATE for plan in plans):
        return PredictionCheck({}, cost=_estimate_creation(context))
    return check_prediction(context, deployment.describe_stacks(context), plans)


def predict_rejected(context: Context) -> PredictionCheck:
    """Predict the changes after CloudFormation rejected a change set, with the values of the stacks and files."""
    states = deployment.describe_stacks(context)
    given = context.environment.file.values
    plans = [
        StackPlan(stack, Kind.UPDATE, parameters={**state.parameters, **given})
        for stack, state in states.items()
        if state is not None and state.next not in {Next.CREATE, Next.REPLACE, Next.CONTINUE}
    ]
    return check_prediction(context, states, plans)


def _resolve_both(
    context: Context, states: States, plans: Sequence[StackPlan], compared: Sequence[StackPlan]
) -> tuple[ResolvedEnvironment, ResolvedEnvironment]:
    """Return the deployed environment, and the planned one."""
    new = {name: Template.from_body(name, item.body) for name, item in context.environment.templates.items()}
    old = {**new, **_read_deployed_templates(context, [plan.stack for plan in compared], states)}
    bootstrap = TEMPLATES[StackRole.BOOTSTRAP]
    new[bootstrap] = keep_deployed(new[bootstrap], old[bootstrap].body).template
    values = dict(context.environment.file.values)
    for plan in plans:
        values |= plan.parameters
    before = dict(values)
    for plan in compared:
        state = states[plan.stack]
        # NoEcho comes back as asterisks.
        known = state.parameters if state is not None else {}
        before |= {name: value for name, value in known.items() if set(value) != {"*"}}
    # ServiceIsNew changes after the first deployment of a service without effect on its resources: change_set_filter
    # treats it as derived, and so does the prediction. If services are added or removed, the lists differ in length.
    was, now = before.get(SERVICE_IS_NEW), values.get(SERVICE_IS_NEW)
    if was is not None and now is not None and was.count(",") == now.count(","):
        before[SERVICE_IS_NEW] = now
    return _resolve(context, old, before), _resolve(context, new, values)


def _read_change_set(plan: StackPlan, predicted: Collection[Path]) -> dict[Path, str]:
    """Return the effects in the change set. Changes of stack tags are left out: they are not part of a template."""
    if plan.change_set is None:
        return {}
    found = {(*path, change.logical_id): change for path, change in plan.change_set.walk()}
    return {path: one.effect for path, one in found.items() if path in predicted or not one.is_about_tags}


def _stack_path(context: Context, stack: Stack) -> str:
    """Return the path of the stack in a resolved environment."""
    other = stack.role is StackRole.BOOTSTRAP and stack.region != context.home
    return f"{stack.role}-{stack.region}" if other else str(stack.role)


def _resolve(context: Context, templates: Mapping[str, Template], values: Mapping[str, str]) -> ResolvedEnvironment:
    declared = {name for file in (ROOT, *COMPANIONS) for name in templates[file].section("Parameters")}
    # `resolve` computes template keys from the templates, and the bucket of a stack from its region.
    given = {
        name: value
        for name, value in values.items()
        if name in declared and not name.endswith("TemplateKey") and name not in (WORKLOAD_TEMPLATES, "ArtifactBucket")
    }
    environment = context.environment
    return resolve(templates, Environment(environment.name, given, context.identity.account, context.home))


def _read_deployed_templates(context: Context, compared: Sequence[Stack], states: States) -> dict[str, Template]:
    """Return the deployed templates of the stacks. A template that is nested several times is read once."""
    wanted: dict[str, tuple[Stack, str]] = {}
    for stack in compared:
        if (state := states[stack]) is not None:
            wanted.setdefault(stack.template, (stack, state.id))
    root = wanted.get(ROOT)
    if root is not None:
        client = context.clients.cloudformation(root[0].region)
        declared = dict(stacks.read_template(client, root[1])).get("Resources", {})
        for item in stacks.list_resources(client, root[1]):
            file = nested_template(declared.get(item.logical_id, {}))
            if file is not None and item.physical_id:
                wanted.setdefault(file, (root[0], item.physical_id))
    for region in {stack.region for stack, _ in wanted.values()}:
        context.clients.cloudformation(region)

    def read(entry: tuple[str, tuple[Stack, str]]) -> tuple[str, Template]:
        name, (stack, identifier) = entry
        return name, Template.from_body(
            name, stacks.read_template(context.clients.cloudformation(stack.region), identifier)
        )

    with ThreadPoolExecutor(8) as pool:
        return dict(pool.map(read, wanted.items()))
