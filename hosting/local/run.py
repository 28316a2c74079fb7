"""Runs an environment on this machine: database, migrations, containers, and the simulated edge in front."""

from __future__ import annotations

import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hosting.analysis.resolve import ResolvedEnvironment
from hosting.edge_simulator import EdgeSimulator, running
from hosting.local import diagnosis, sandbox, stores
from hosting.local.container import Container, LocalImage
from hosting.local.container_init import INGRESS
from hosting.local.database import DatabaseServer, Login, write_certificate
from hosting.local.errors import LocalError
from hosting.local.job_schedules import JobSchedules
from hosting.local.process import Destination, RunningContainer, start
from hosting.local.settings import Settings
from hosting.local.stores import LocalStores
from hosting.local.workloads import DATABASE_HOST, DATABASE_PORT, LocalValues, LocalWorkload, read_workloads

_HOST = "localhost"
# Seconds between health checks. The template's interval is for hundreds of tasks, not for a developer who waits.
_HEALTH_INTERVAL = 1.0
_LOGIN = Login("app", "admin", "local-password")

Show = Callable[[str, str], None]


class LocalRun:
    """A running environment. ``folder`` keeps data and generated secrets from one run to the next.

    ``show`` gets the name of a container and a line of its log.
    """

    def __init__(self, folder: Path, port: int, show: Show) -> None:
        self.folder = folder
        self.site = f"https://{_HOST}:{port}"
        self.edge: EdgeSimulator | None = None
        self.containers: dict[str, RunningContainer] = {}
        self.workloads: dict[str, LocalWorkload] = {}
        self._port = port
        self._show = show
        self._isolated = sandbox.find_bubblewrap() is not None
        self._database = DatabaseServer(folder / "database", _LOGIN, DATABASE_HOST)
        self._stores = LocalStores(folder / "buckets")
        self._resolved: ResolvedEnvironment | None = None
        self._settings = Settings()
        self._stack = ExitStack()
        self._runs = 0
        self._schedules = JobSchedules({}, datetime.now(UTC))
        # Containers of jobs that run now. They end before the database does.
        self._jobs: set[RunningContainer] = set()
        self._temporary: Path | None = None

    def start(self, resolved: ResolvedEnvironment, settings: Settings, given: Mapping[str, str]) -> None:
        """Start everything that does not run yet. Raises LocalError or InputError, and leaves nothing running then."""
        database = (DATABASE_HOST, DATABASE_PORT) if self._isolated else self._database.address
        self._stores.start(resolved)
        values = LocalValues(
            resolved, self.site, _LOGIN, database, given, self.folder / "secrets.json", self._stores_endpoint
        )
        self.workloads = {workload.name: workload for workload in read_workloads(values)}
        self._settings = settings
        self._require_commands()
        self._require_ports()
        self._resolved = resolved
        if self._database.others != values.schemas():
            self._database.stop()
            self._database.others = values.schemas()
        if self._has_database and not self._database.is_running:
            self._database.start()
        self._runs += 1
        for workload in self.workloads.values():
            if workload.migration:
                self._migrate(workload)
        for workload in self.workloads.values():
            if not workload.is_job:
                self.containers[workload.name] = self._start(workload, self._local_image(workload)[1])
        self._start_edge(resolved)
        scheduled = {one.name: one.schedule for one in self.workloads.values() if one.schedule is not None}
        self._schedules = JobSchedules(scheduled, datetime.now(UTC))

    def run_job(self, name: str) -> int:
        """Run a job once, and return its exit code."""
        workload = self.workloads.get(name)
        if workload is None or not workload.is_job:
            jobs = ", ".join(one.name for one in self.workloads.values() if one.is_job) or "none"
            raise LocalError(f"{name} is no job of the environment. Jobs: {jobs}")
        return self._run_once(workload, self._local_image(workload)[1], "job")

    @property
    def next_job_times(self) -> dict[str, datetime | None]:
        """The next start of each job with a schedule; None if it is not computed."""
        return self._schedules.next_times

    def start_due_jobs(self, now: datetime, ended: Callable[[str, int], None]) -> None:
        """Start the jobs whose time has come, and return. ``ended`` gets name and exit code of each when it ends."""
        for name in self._schedules.take_due(now):
            threading.Thread(target=lambda job=name: ended(job, self.run_job(job)), name=f"job {name}").start()

    def health(self) -> dict[str, str]:
        """Return the state of each container: the health of its target, or whether it runs."""
        return {name: self._state(name, container) for name, container in self.containers.items()}

    def wait_until_healthy(self, seconds: float) -> bool:
        """Wait until all containers run, and all targets are healthy. Return whether they are."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            states = self.health()
            if all(state in ("healthy", "running") for state in states.values()):
                return True
            if any(state.startswith("exited") for state in states.values()):
                return False
            time.sleep(0.2)
        return False

    def explain(self) -> dict[str, list[str]]:
        """Return what is wrong with each container that is neither healthy nor running."""
        found = {}
        for name, state in self.health().items():
            if state not in ("healthy", "running"):
                path = self._health_path(name) if self.workloads[name].behind_load_balancer else ""
                found[name] = diagnosis.explain(self.containers[name], path)
        return found

    def first_paths(self) -> list[str]:
        """Return the first path of each listener rule of a workload, without its wildcard."""
        rules = self._resolved.of_type("AWS::ElasticLoadBalancingV2::ListenerRule") if self._resolved else []
        patterns = (rule.get(f"Conditions.{number}.PathPatternConfig.Values") for rule in rules for number in range(5))
        return sorted({values[0].rstrip("*") or "/" for values in patterns if values})

    def stop_containers(self) -> None:
        """Stop the edge and all containers at the same time, each within its stop time. The database stays."""
        self._stack.close()
        self._stack = ExitStack()
        self.edge = None
        running = [*self.containers.values(), *self._jobs]
        with ThreadPoolExecutor(max_workers=max(1, len(running))) as pool:
            list(pool.map(lambda container: container.stop(), running))
        self.containers = {}

    def stop(self) -> None:
        """Stop everything."""
        try:
            self.stop_containers()
        finally:
            self._database.stop()
            self._stores.stop()
            if self._temporary is not None:
                shutil.rmtree(self._temporary, ignore_errors=True)

    def _state(self, name: str, container: RunningContainer) -> str:
        if container.exit_code is not None:
            return f"exited with code {container.exit_code}"
        if not self.workloads[name].behind_load_balancer or self.edge is None or self.edge.balancer is None:
            return "running"
        return next(iter(self.edge.balancer.states(name)), "initial")

    def _health_path(self, name: str) -> str:
        balancer = self.edge.balancer if self.edge else None
        return balancer.group(name).health_check.path if balancer else ""

    def _require_commands(self) -> None:
        for name, workload in self.workloads.items():
            image, container = self._local_image(workload)
            if not image.command_of(container):
                raise LocalError(
                    f"workload {name} has no command: its image is not on this machine",
                    hint=f"give one with --service {name}='COMMAND', or in local.toml: [services.{name}] command = ...",
                )
        for name in self._settings.images:
            if name not in self.workloads:
                raise LocalError(f"--service {name}: there is no such workload. Known: {', '.join(self.workloads)}")

    def _local_image(self, workload: LocalWorkload) -> tuple[LocalImage, Container]:
        """Return what replaces the image of a workload, and its container.

        A command of local.toml replaces that of the task definition. Workloads with the same image share its settings.
        """
        own = self._settings.images.get(workload.name)
        if own is not None and own.command:
            return own, replace(workload.container, command=(), entry_point=())
        names = (name for name, other in self.workloads.items() if other.container.image == workload.container.image)
        shared = next((self._settings.images[name] for name in names if name in self._settings.images), LocalImage())
        return own or replace(shared, command=()), workload.container

    def _require_ports(self) -> None:
        try:
            socket.create_server((_HOST, self._port)).close()
        except OSError as error:
            raise LocalError(
                f"port {self._port} of the edge: {error.strerror}", hint="choose one with --port"
            ) from None
        if self._isolated:
            return
        owners: dict[int, str] = {}
        for name, workload in self.workloads.items():
            port = workload.container.port
            if port is not None and port in owners:
                raise LocalError(
                    f"{owners[port]} and {name} both listen on port {port}",
                    hint="install bubblewrap (apt-get install bubblewrap): it gives each a network of its own.",
                )
            if port is not None:
                owners[port] = name

    def _migrate(self, workload: LocalWorkload) -> None:
        container = replace(workload.container, command=workload.migration, entry_point=(), port=None)
        if code := self._run_once(workload, container, "migration"):
            raise LocalError(
                f"the migration of {workload.name} ended with exit code {code}. A deployment would stop here."
            )

    def _run_once(self, workload: LocalWorkload, container: Container, purpose: str) -> int:
        self._runs += 1
        started = self._start(workload, container, purpose)
        self._jobs.add(started)
        try:
            return started.wait()
        finally:
            self._jobs.discard(started)
            started.stop()

    def _start(self, workload: LocalWorkload, container: Container, purpose: str = "") -> RunningContainer:
        name = f"{workload.name} {purpose}".strip()
        variables = {**self._stores.variables(self._stores_endpoint), **container.variables}
        return start(
            replace(container, variables=variables),
            self._local_image(workload)[0],
            self._container_folder(workload.name, purpose),
            [*self._store_destination(), *self._database_destination(), *self._internal()],
            lambda line: self._show(name, line),
            volumes=self.folder / "volumes",
        )

    def _store_destination(self) -> list[Destination]:
        """Return the address at which containers reach buckets and queues. It is the first one, with a known number."""
        address = self._stores.address
        return [Destination(stores.HOST, stores.PORT, address)] if address else []

    @property
    def _stores_endpoint(self) -> str:
        """The URL of buckets and queues for a container. SDKs use an address with the path style of S3."""
        if self._stores.address is None:
            return ""
        host, port = self._stores.address
        if self._isolated:
            host, port = sandbox.DESTINATION_ADDRESS.format(1), stores.PORT
        return f"http://{host}:{port}"

    @property
    def _has_database(self) -> bool:
        return self._resolved is not None and bool(self._resolved.of_type("AWS::RDS::DBCluster"))

    def _database_destination(self) -> list[Destination]:
        """Return the address at which containers reach the database, if the environment has one."""
        if not self._has_database:
            return []
        return [Destination(DATABASE_HOST, DATABASE_PORT, self._database.address)]

    def _container_folder(self, name: str, purpose: str = "") -> Path:
        if self._temporary is None:
            # A short path, because that of a Unix socket has at most 107 characters.
            self._temporary = Path(tempfile.mkdtemp(prefix="local-"))
        return self._temporary / f"{self._runs}-{name}{purpose}"

    def _internal(self) -> list[Destination]:
        """Return the other workloads that have a name. The socket exists as soon as the workload has started."""
        return [
            Destination(host, workload.container.port, self._container_folder(workload.name) / "control" / INGRESS)
            for workload in self.workloads.values()
            for host in workload.host_names
            if workload.container.port is not None
        ]

    def _static_bucket(self, resolved: ResolvedEnvironment) -> Path:
        """Return a folder with the content of the static bucket: the first pages and the user's static files."""
        bucket = self._container_folder("bucket")
        (bucket / "sorry").mkdir(parents=True)
        if self._settings.sorry_page is not None and self._settings.sorry_page.is_file():
            shutil.copy(self._settings.sorry_page, bucket / "sorry" / "index.html")
        prefix = resolved.stacks["root"].template.static_path.strip("/")
        if prefix and self._settings.static is not None:
            shutil.copytree(self._settings.static, bucket / prefix)
        return bucket

    def _start_edge(self, resolved: ResolvedEnvironment) -> None:
        certificate = self.folder / "edge"
        certificate.mkdir(parents=True, exist_ok=True)
        write_certificate(certificate, _HOST)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        targets = {
            name: "http://{}:{}".format(*container.address)
            for name, container in self.containers.items()
            if self.workloads[name].behind_load_balancer and container.address is not None
        }
        edge = EdgeSimulator(
            resolved.resources,
            targets=targets,
            static=self._static_bucket(resolved),
            names=(f"{_HOST}:{self._port}",),
            port=self._port,
            tls=tls,
            health_check_interval=_HEALTH_INTERVAL,
        )
        self.edge = self._stack.enter_context(running(edge, healthy=False))
