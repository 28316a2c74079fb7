"""`deploy.py rehearse`: deploy, change and destroy a whole environment on an emulator of AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, environment_options, load_environment, output_option

if TYPE_CHECKING:
    from rich.console import Console

    from hosting.deployer.aws.stacks import StackState
    from hosting.deployer.deployment import Context, Environment
    from hosting.deployer.pipeline import CurrentStates
    from hosting.deployer.reporter import Reporter
    from hosting.model.stack_order import Stack
    from hosting.rehearsal.checks import Proof
    from hosting.rehearsal.checks.base import Deployed
    from hosting.rehearsal.emulator import Emulator
    from hosting.rehearsal.rehearse import Result

# Seconds between polls. The emulator finishes at once, so the intervals for AWS would only add waiting time.
_PACE = 0.05
_HEADING_WIDTH = 100


@click.command()
@environment_options
@output_option("text", "json")
@click.option("-v", "--verbose", is_flag=True, help="Also show plans, each event and each check that holds.")
@click.option("--keep", is_flag=True, help="Keep the environment until Ctrl-C and print how to connect to it.")
@click.option(
    "--delay",
    type=float,
    default=0.0,
    metavar="SECONDS",
    help="Duration of each resource operation, to watch the progress.  [default: 0]",
)
def rehearse(verbose: bool, keep: bool, delay: float, **given: Any) -> int:
    """Deploy a whole environment to an emulator, check the result, change it, and destroy it.

    Requires no AWS account and no credentials: the emulator runs on this machine, and the code is the same as for
    AWS. Exits 1 if a check fails.
    """
    from hosting.cli.rendering import progress
    from hosting.rehearsal.emulator import DEFAULT_ACCOUNT, DEFAULT_REGION, Emulator
    from hosting.rehearsal.rehearse import Result

    options = Options(**given)
    environment = load_environment(options)
    console = progress.create_console()
    account = environment.file.account or DEFAULT_ACCOUNT
    region = environment.file.region or DEFAULT_REGION
    result = Result()
    begun = time.monotonic()
    with console.status("starting the emulator"):
        emulator = Emulator(delay=delay)
        emulator.start()
    try:
        console.print(f"The emulator runs at {emulator.endpoint} as account {account}.", style="dim")
        output = _Output(console, verbose)
        _run_steps(output, environment, emulator, (account, region), result, destroys=not keep)
        _print_summary(options, result, time.monotonic() - begun)
        if keep:
            _keep_running(console, emulator, account, region)
    finally:
        emulator.stop()
    return Exit.ERROR if result.failed else Exit.DONE


@dataclass
class _Output:
    """The console of a rehearsal. Without ``verbose`` it shows failures, and one line for each stack."""

    console: Console
    verbose: bool

    def reporter(self) -> Reporter:
        """Return a reporter that approves everything."""
        from hosting.cli.support.console_reporter import ConsoleReporter
        from hosting.cli.support.operation_monitor import OperationMonitor

        monitor = OperationMonitor(self.console, "events" if self.verbose else "auto")
        return ConsoleReporter(monitor, shows_plans=self.verbose)

    def detail(self, text: object) -> None:
        """Print a text of a verbose rehearsal."""
        if self.verbose:
            self.console.print(text, style="dim", markup=False)

    def check(self, proof: Proof) -> None:
        """Print a check that fails, or any in a verbose rehearsal. The summary counts all."""
        if self.verbose or not proof.holds:
            self.console.print(_format_check(proof))


def _run_steps(
    output: _Output,
    environment: Environment,
    emulator: Emulator,
    place: tuple[str, str],
    result: Result,
    *,
    destroys: bool,
) -> None:
    """Run the steps, each under its headline."""
    from hosting.deployer import deployment, pipeline
    from hosting.model.stack_order import StackRole
    from hosting.rehearsal import rehearse as rehearsal
    from hosting.rehearsal.prerequisites import Prerequisites

    account, region = place
    clients = emulator.clients(account, region)
    context = deployment.connect(environment, clients, sleep=lambda seconds: time.sleep(min(seconds, _PACE)))
    world = Prerequisites(emulator, account, context.home)
    values = environment.file.values

    with _step(output.console, "Create the prerequisites of the account"):
        texts = [template.text for template in environment.templates.values()]
        for made in world.prepare(values, texts) or ["none: the parameter file refers to no existing resource"]:
            output.detail(made)
    with _step(output.console, "Deploy bootstrap and push images"):
        pipeline.deploy_stacks(context, output.reporter(), through=StackRole.BOOTSTRAP)
        for repository in world.push_images(values):
            output.detail(f"pushed an image to {repository}")
    with _step(output.console, "Deploy the whole chain"):
        states = _deploy_chain(output, context, result)
    for run in world.run_each_schedule_once():
        output.detail(f"ran schedule {run['Name']} as at {run['At']}")
    with _step(output.console, "Check the deployed resources"):
        for proof in rehearsal.examine(rehearsal.collect_deployed_resources(context, states), result):
            output.check(proof)
    with _step(output.console, "Deploy again without changes"):
        _check_empty_plan(output, context, states, result)
    with _step(output.console, "Change one parameter"):
        _change_parameter(output, context, result)
    if destroys:
        with _step(output.console, "Destroy everything"):
            _destroy_environment(output, context, result)


def _deploy_chain(output: _Output, context: Context, result: Result) -> CurrentStates:
    """Deploy all stacks. If workloads wait for supplied secrets, set these and deploy again, as a person does."""
    from hosting.deployer import pipeline
    from hosting.deployer.errors import RefusedError
    from hosting.deployer.operate.platform import find_platform
    from hosting.rehearsal import rehearse as rehearsal
    from hosting.rehearsal.checks import Proof

    try:
        return pipeline.deploy_stacks(context, output.reporter())
    except RefusedError as refusal:
        supplied = rehearsal.supply_secrets(context)
        if not supplied:
            raise
        waiting = not find_platform(context).services
        proof = Proof("secrets", "workloads wait until supplied secrets have values", waiting, ", ".join(supplied))
        result.proofs.append(proof)
        output.detail(f"refused: {refusal.what}")
        output.check(proof)
        return pipeline.deploy_stacks(context, output.reporter())


def _check_empty_plan(
    output: _Output, context: Context, states: dict[Stack, StackState | None], result: Result
) -> None:
    """Check that a second deployment without changes has an empty plan."""
    from hosting.cli.rendering import plan_text
    from hosting.deployer import deployment, pipeline
    from hosting.deployer.deployment import Kind
    from hosting.rehearsal.checks import Proof

    plans = pipeline.plan_stacks(context, states, output.reporter(), verb="plan")
    try:
        changed = [plan for plan in plans if plan.kind is not Kind.NOTHING]
        for part in plan_text.render_plan(plan_text.PlanReview(changed)) if changed else ():
            output.console.print(part)
        seen = ", ".join(plan.stack.label for plan in changed) or f"{len(plans)} stacks"
        proof = Proof("change", "a second deployment without changes is empty", not changed, seen)
        result.proofs.append(proof)
        output.check(proof)
    finally:
        for plan in plans:
            deployment.discard(context, plan)


def _change_parameter(output: _Output, context: Context, result: Result) -> None:
    """Change one parameter of the environment, and check that plan and deployment change the resource that reads it.

    It is the maximum task count of the first service that scales, or the monthly budget if no service scales.
    """
    from dataclasses import replace

    from hosting.deployer import deployment, pipeline
    from hosting.model.stack_order import StackRole
    from hosting.rehearsal import rehearse as rehearsal
    from hosting.rehearsal.checks import Proof

    template = context.template(context.stack(StackRole.ROOT))
    scaling = [service for service in template.services if f"{service}MaxTasks" in template.parameters]
    name = f"{scaling[0]}MaxTasks" if scaling else "MonthlyBudget"
    wanted = f"{scaling[0]}ServiceStack/ScalableTarget" if scaling else "OperationsStack/Budget"
    before = deployment.describe_stacks(context)
    root = before[context.stack(StackRole.ROOT)]
    old = int(root.parameters[name]) if root is not None else 0
    output.detail(f"{name}: {old} -> {old + 1}")
    changed = replace(context, environment=deployment.with_parameters(context.environment, [f"{name}={old + 1}"]))
    plans = pipeline.plan_stacks(changed, before, output.reporter(), verb="plan")
    touched = sorted(
        "/".join((*path, change.logical_id))
        for plan in plans
        if plan.change_set is not None
        for path, change in plan.change_set.walk()
    )
    for plan in plans:
        deployment.discard(changed, plan)
    seen = f"{len(touched)} changes, {wanted} among them"
    proof = Proof("change", "the plan contains the changed resource", wanted in touched, seen)
    states = pipeline.deploy_stacks(changed, output.reporter())
    deployed = rehearsal.collect_deployed_resources(changed, states)
    now = _read_maximum(deployed, wanted) if scaling else _read_budget(deployed, wanted)
    done = Proof("change", "the deployment changes the resource", now == old + 1, f"{wanted} has {now}")
    for one in (proof, done):
        result.proofs.append(one)
        output.check(one)


def _read_maximum(deployed: Deployed, path: str) -> int:
    (target,) = deployed.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="ecs", ResourceIds=[deployed.id(path).split("|")[0]]
    )["ScalableTargets"]
    maximum: int = target["MaxCapacity"]
    return maximum


def _read_budget(deployed: Deployed, path: str) -> int:
    budgets = deployed.client("budgets", deployed.edge)
    found = budgets.describe_budget(AccountId=deployed.account, BudgetName=deployed.id(path))["Budget"]
    return int(float(found["BudgetLimit"]["Amount"]))


def _destroy_environment(output: _Output, context: Context, result: Result) -> None:
    """Destroy the environment: first without --unprotect, which must be refused if it is protected, then with it.

    Its name, DeletionProtection and the files of the static site protect it.
    """
    from hosting.deployer import deployment, pipeline
    from hosting.deployer.errors import RefusedError
    from hosting.model.stack_order import StackRole
    from hosting.rehearsal import rehearse as rehearsal
    from hosting.rehearsal.checks import Proof

    def note(name: str, holds: bool, seen: str) -> None:
        proof = Proof("destroy", name, holds, seen)
        result.proofs.append(proof)
        output.check(proof)

    deployed = rehearsal.collect_deployed_resources(context, deployment.describe_stacks(context))
    # No stack lists them after the deletion, but some are kept.
    deployed.resources_of_stack(str(StackRole.ROOT))
    protected = context.environment.is_production or deployed.parameter("DeletionProtection") == "true"
    keeps_files = deployed.parameter("EmptyBucketOnDelete") != "true"
    try:
        pipeline.destroy_stacks(context, output.reporter())
    except RefusedError as refusal:
        expected = protected or keeps_files
        note("protected resources are not destroyed without --unprotect", expected, str(refusal).splitlines()[0])
        try:
            pipeline.destroy_stacks(context, output.reporter(), unprotect=True)
        except RefusedError as failure:
            # Without EmptyBucketOnDelete the user has to empty the bucket before the deletion.
            kept = keeps_files and "not empty" in str(failure)
            note(
                "files of the static site are not deleted with the stack",
                kept,
                deployed.outputs["root"]["StaticBucketName"],
            )
            if not kept:
                raise
            rehearsal.empty(deployed, deployed.outputs["root"]["StaticBucketName"])
            pipeline.destroy_stacks(context, output.reporter(), unprotect=True)
    else:
        note("the environment has no protected resources", not protected, context.environment.name)
    left = [
        stack.label
        for stack, state in deployment.describe_stacks(context).items()
        if state is not None and stack.role is not StackRole.BOOTSTRAP
    ]
    note("every stack except bootstrap is deleted", not left, ", ".join(left) or "bootstrap stays")
    for proof in rehearsal.examine_remains(deployed, result):
        output.check(proof)


@contextmanager
def _step(console: Console, title: str) -> Iterator[None]:
    from rich.rule import Rule

    # A log console is 1,000 columns wide, and a heading would fill all of them.
    console.print(Rule(f"[bold]{title}", align="left", style="dim"), width=min(console.width, _HEADING_WIDTH))
    begun = time.monotonic()
    yield
    console.print(f"{title.lower()}: {time.monotonic() - begun:.1f} s\n", style="dim")


def _format_check(proof: Proof) -> object:
    from rich.text import Text

    mark = Text("ok    ", style="green") if proof.holds else Text("FAIL  ", style="bold red")
    return Text.assemble(mark, (f"{proof.area}: ", "dim"), proof.name, (f"  {proof.seen}", "dim"))


def _print_summary(options: Options, result: Result, seconds: float) -> None:
    """Write the result to stdout: checks that hold, checks that fail, and limits of the emulator."""
    from hosting.rehearsal.rehearse import NOT_PROVEN

    if options.output == "json":
        document = {
            "environment": options.environment,
            "seconds": round(seconds, 1),
            "proofs": [
                {"area": proof.area, "name": proof.name, "holds": proof.holds, "seen": proof.seen}
                for proof in result.proofs
            ],
            "notProven": list(NOT_PROVEN),
        }
        click.echo(json.dumps(document, indent=2))
        return
    good = len(result.proofs) - len(result.failed)
    lines = [f"Rehearsal of {options.environment}: {good} of {len(result.proofs)} checks hold, {seconds:.0f} s."]
    width = max(len(area) for area in result.areas)
    lines += [f"  {area:<{width}}  {held} of {total}" for area, (held, total) in result.areas.items()]
    if result.failed:
        lines += ["", "Failed:"]
        lines += [f"  {proof.area}: {proof.name}\n    seen: {proof.seen}" for proof in result.failed]
    lines += ["", "An emulator cannot check:", *(f"  - {limit}" for limit in NOT_PROVEN)]
    click.echo("\n".join(lines))


def _keep_running(console: Console, emulator: Emulator, account: str, region: str) -> None:
    """Keep the emulator until Ctrl-C. It ends with this process."""
    click.echo("\nThe environment runs until Ctrl-C. Use it in another terminal:\n")
    for name, value in emulator.environment(account, region).items():
        click.echo(f"  export {name}={value}")
    click.echo("\n  aws ecs list-services --cluster ...    deploy.py outputs -e ...    and every other command")
    console.print(f"the emulator's log: {emulator.log}", style="dim")
    try:
        while True:
            time.sleep(1)
            emulator.raise_if_dead()
    except KeyboardInterrupt:
        console.print("stopped", style="dim")
