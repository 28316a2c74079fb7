"""Places the VPC: a column per zone, a row per tier, and across columns the resources that span zones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hosting.analysis.graph.model import Architecture, Container, Database, Network, Service
from hosting.analysis.graph.scene import (
    HEADER,
    PAD,
    Point,
    Rect,
    Scene,
    card_height,
    fit,
    text_width,
    wrap_list,
)

GAP = 44.0  # between columns: requests go down here
BUS = 44.0  # right of the columns: queries go down here
BETWEEN = 30.0  # between tiers
NAT_WIDTH = 150.0

_TITLES = {"public": "Public subnet", "app": "Private app subnet", "database": "Private database subnet"}


@dataclass(frozen=True)
class VpcPlaces:
    """Points of the VPC to which other parts draw arrows."""

    bottom: float
    entrance: Point | None  # top of the internet gateway
    bastions: tuple[Point, ...]  # left edge of each service's first sidecar

    @staticmethod
    def columns(vpc: Rect, zones: int) -> tuple[list[Rect], list[float]]:
        """Return the columns of the zones, and the lanes between them; a single zone has its lane at its right."""
        left, right = vpc.x + 2 * PAD, vpc.right - BUS - PAD
        gaps = max(zones - 1, 1)
        width = (right - left - gaps * GAP) / zones
        columns = [Rect(left + number * (width + GAP), 0, width, 0) for number in range(zones)]
        return columns, [columns[number].right + GAP / 2 for number in range(gaps)]


@dataclass(frozen=True)
class _Grid:
    scene: Scene
    columns: dict[str, Rect]  # zone -> its column, of which only x and width count
    lanes: list[float]

    def span(self, zones: Sequence[str], inset: float, y: float, height: float) -> Rect:
        """Return a box across the columns of these zones."""
        chosen = [self.columns[zone] for zone in zones if zone in self.columns] or list(self.columns.values())
        left = min(item.x for item in chosen) + inset
        right = max(item.right for item in chosen) - inset
        if len(self.columns) == 1:
            right = self.lanes[0] + PAD
        return Rect(left, y, right - left, height)

    @property
    def bus(self) -> float:
        return max(item.right for item in self.columns.values()) + 22 + (GAP if len(self.columns) == 1 else 0)


def draw_vpc(scene: Scene, architecture: Architecture, rect: Rect) -> VpcPlaces:
    """Draw the VPC, and return the points for arrows."""
    network = architecture.network
    if network is None:
        raise ValueError("no network to draw")  # the caller's mistake
    columns, lanes = VpcPlaces.columns(rect, max(len(network.zones), 1))
    grid = _Grid(scene, dict(zip(network.zones, columns, strict=False)), lanes)
    first = len(scene.frames)
    zone_top = rect.y + HEADER + 12
    y = zone_top + HEADER
    y, balancer, nats = _draw_public(grid, architecture, y)
    app_top = y + BETWEEN
    y, bastions, sources = _draw_app(grid, architecture, app_top, balancer)
    _draw_ways_out(grid, network, app_top, nats)
    y = _draw_database(grid, architecture, y + BETWEEN, sources)
    for zone, column in grid.columns.items():
        scene.frame(Rect(column.x, zone_top, column.width, y + PAD - zone_top), "zone", zone)
    bottom = y + 2 * PAD
    scene.frame(Rect(rect.x, rect.y, rect.width, bottom - rect.y), "vpc", f"VPC {network.cidr}")
    # What holds the rest is known last and drawn first.
    frames = scene.frames[first:]
    scene.frames[first:] = [frames[-1], *frames[-1 - len(grid.columns) : -1], *frames[: -1 - len(grid.columns)]]
    entrance = None
    if network.internet_gateway and grid.columns:
        gateway = scene.card(Rect(lanes[0] - 76, rect.y - 16, 152, card_height(0)), "network", "Internet gateway")
        entrance = (gateway.center, gateway.y)
        if balancer:
            scene.arrow("request", (gateway.center, gateway.bottom), (gateway.center, balancer.y))
    return VpcPlaces(bottom, entrance, tuple(bastions))


def _draw_tier(grid: _Grid, network: Network, tier: str, top: float, height: float) -> None:
    for zone, column in grid.columns.items():
        subnets = [item for item in network.subnets if item.zone == zone and item.tier == tier]
        if subnets:
            rect = Rect(column.x + PAD, top, column.width - 2 * PAD, height)
            grid.scene.frame(rect, tier, _TITLES[tier], ", ".join(item.cidr for item in subnets))


def _draw_public(grid: _Grid, architecture: Architecture, top: float) -> tuple[float, Rect | None, dict[str, Rect]]:
    """Draw the load balancer and, below it, the NAT gateways at the outer side of each zone, beside the requests."""
    network, balancer = architecture.network, architecture.balancer
    if network is None:
        return top, None, {}
    y = top + HEADER
    box = None
    tier = len(grid.scene.frames)
    if balancer:
        box = grid.span(balancer.zones, 2 * PAD, y, card_height(len(balancer.listeners)))
        y = box.bottom + 12
    nats: dict[str, Rect] = {}
    for number, (zone, column) in enumerate(grid.columns.items()):
        if zone in network.nat_zones:
            x = column.right - 2 * PAD - NAT_WIDTH if number else column.x + 2 * PAD
            nats[zone] = Rect(x, y, NAT_WIDTH, card_height(0))
    if nats:
        y += card_height(0) + 12
    bottom = max(y - 12 + PAD, top + HEADER)
    _draw_tier(grid, network, "public", top, bottom - top)
    if len(grid.scene.frames) == tier:
        return top, None, {}  # no public subnet at all
    if balancer and box:
        grid.scene.card(box, "network", f"Application Load Balancer, {balancer.scheme}", balancer.listeners)
    for rect in nats.values():
        grid.scene.card(rect, "network", "NAT gateway")
    return bottom, box, nats


def _draw_app(
    grid: _Grid, architecture: Architecture, top: float, balancer: Rect | None
) -> tuple[float, list[Point], list[tuple[Point, str]]]:
    """Draw the services. Return the positions of bastions and of database connections, with their ports."""
    network, cluster, scene = architecture.network, architecture.cluster, grid.scene
    if network is None:
        return top, [], []
    y = top + HEADER
    endpoints = []
    room = grid.span(network.zones, 2 * PAD, 0, 0).width
    for kind, names in (("interface", network.interface_endpoints), ("gateway", network.gateway_endpoints)):
        if names:
            endpoints += wrap_list([f"{kind}: {names[0]}", *names[1:]], room)
    cluster_top = y
    tops = []
    if architecture.services:
        y += HEADER
        for service in architecture.services:
            tops.append(y)
            y += _service_height(service) + PAD
        cluster_bottom = y
        y += PAD
    endpoint_top = y
    if endpoints:
        y += card_height(len(endpoints)) + PAD
    _draw_tier(grid, network, "app", top, y - top)
    bastions: list[Point] = []
    sources: list[tuple[Point, str]] = []
    if architecture.services:
        frame = grid.span(network.zones, 2 * PAD, cluster_top, cluster_bottom - cluster_top)
        insights = f"Container Insights {cluster.insights}" if cluster and cluster.insights else ""
        scene.frame(frame, "cluster", f"ECS cluster, {cluster.capacity}" if cluster else "ECS cluster", insights)
    lanes: dict[float, float] = {}
    for service, service_top in zip(architecture.services, tops, strict=True):
        _draw_service(grid, service, service_top, lanes if balancer else None, bastions, sources)
    for lane, end in lanes.items():
        if balancer:
            scene.arrow("request", (lane, balancer.bottom), (lane, end), head=False)
    if endpoints:
        rect = grid.span(network.zones, 2 * PAD, endpoint_top, card_height(len(endpoints)))
        scene.card(rect, "network", "VPC endpoints", endpoints)
    return y, bastions, sources


def _service_height(service: Service) -> float:
    lines = max((_container_lines(item) for item in service.containers), default=0)
    return HEADER + card_height(lines) + 4 * PAD


def _container_lines(container: Container) -> int:
    return len([item for item in (container.image, *container.notes) if item])


def _draw_service(
    grid: _Grid,
    service: Service,
    top: float,
    lanes: dict[float, float] | None,
    bastions: list[Point],
    sources: list[tuple[Point, str]],
) -> None:
    """Draw one service in each of its zones. `lanes` records how far down each lane leads requests."""
    scene = grid.scene
    frame = grid.span(service.zones, 3 * PAD, top, _service_height(service))
    # Each heading in its half: between them the lane continues to the next service.
    paths = f"{', '.join(service.paths)} to port {service.port}" if service.paths else service.started_by
    facts = ", ".join(item for item in (service.tasks, service.size) if item)
    half = frame.width / 2 - 2 * PAD - 12
    heading = f"{service.name}: {facts}"
    scene.frame(frame, "service", fit(heading, half, bold=True), fit(paths, half))
    y = top + HEADER
    height = frame.bottom - PAD - y
    middle = y + height / 2
    for number, (zone, column) in enumerate(grid.columns.items()):
        if service.zones and zone not in service.zones:
            continue
        task = Rect(column.x + 4 * PAD, y, column.width - 8 * PAD, height)
        scene.frame(task, "task")
        # In the first column the sidecars are at the left, because requests come from the lane at its right.
        order = sorted(service.containers, key=lambda item: item.serves == (number > 0), reverse=True)
        width = (task.width - PAD * (len(order) + 1)) / max(len(order), 1)
        for place, container in enumerate(order):
            box = Rect(task.x + PAD + place * (width + PAD), y + PAD, width, height - 2 * PAD)
            words = [item for item in (container.image, *container.notes) if item]
            scene.card(box, "compute", container.name, words)
            if container.serves and lanes is not None and service.paths:
                lane = grid.lanes[max(number - 1, 0)]
                lanes[lane] = middle
                scene.arrow("request", (lane, middle), (box.x if number else box.right, middle))
            if not number and not place and service.exec:
                bastions.append((box.x, middle))
    if service.database_port:
        sources.append(((frame.right, middle), service.database_port))


def _draw_ways_out(grid: _Grid, network: Network, app_top: float, nats: dict[str, Rect]) -> None:
    """Draw an arrow from each app subnet to the NAT gateway of its route table."""
    for zone, column in grid.columns.items():
        for subnet in network.subnets:
            if subnet.zone != zone or subnet.tier != "app" or subnet.nat_zone not in nats:
                continue
            nat = nats[subnet.nat_zone]
            own = nats.get(zone, nat)
            x = own.center if zone in nats else min(max(column.center, column.x), column.right)
            if subnet.nat_zone == zone:
                grid.scene.arrow("outbound", (x, app_top), (x, nat.bottom))
            else:
                turn = app_top - BETWEEN / 2
                aside = nat.center + 24
                grid.scene.arrow("outbound", (x, app_top), (x, turn), (aside, turn), (aside, nat.bottom))


def _draw_database(grid: _Grid, architecture: Architecture, top: float, sources: list[tuple[Point, str]]) -> float:
    network, database, scene = architecture.network, architecture.database, grid.scene
    if network is None or not (database or any(item.tier == "database" for item in network.subnets)):
        return top - BETWEEN
    height = HEADER + PAD + (_database_height(database) + PAD if database else 0)
    _draw_tier(grid, network, "database", top, height)
    if database is None:
        return top + height
    frame = grid.span(database.zones, 2 * PAD, top + HEADER, _database_height(database))
    scene.frame(frame, "aurora", ", ".join((database.engine, *database.facts)))
    zones = list(grid.columns)
    for number, instance in enumerate(database.instances):
        zone = instance.zone if instance.zone in grid.columns else zones[number % len(zones)]
        together = [item for item in database.instances if (item.zone or zone) == zone] or [instance]
        column = grid.columns[zone]
        width = (column.width - 6 * PAD - PAD * (len(together) - 1)) / len(together)
        x = column.x + 3 * PAD + together.index(instance) * (width + PAD)
        scene.card(
            Rect(x, frame.y + HEADER, width, card_height(1)), "data", instance.role.capitalize(), [instance.size]
        )
    y = frame.middle
    for (x, start), _ in sources:
        scene.arrow("query", (x, start), (grid.bus, start), (grid.bus, y), (frame.right, y))
    if ports := sorted({port for _, port in sources}):
        words = f"port {', '.join(ports)}"
        scene.text(grid.bus - 8, top - 10, words, text_width(words) + 1, anchor="end", kind="query")
    return top + height


def _database_height(database: Database) -> float:
    return HEADER + (card_height(1) + PAD if database.instances else 0)
