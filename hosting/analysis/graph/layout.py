"""Places the parts of the picture: the edge above, the region below it, operations at the bottom, users outside."""

from __future__ import annotations

from dataclasses import dataclass

from hosting.analysis.graph.layout_operations import draw_operations
from hosting.analysis.graph.layout_vpc import VpcPlaces, draw_vpc
from hosting.analysis.graph.model import Architecture, Edge
from hosting.analysis.graph.scene import (
    HEADER,
    PAD,
    Point,
    Rect,
    Scene,
    card_height,
    wrap,
    wrap_list,
)

WIDTH = 1200.0
MARGIN = 16.0
LEFT = 44.0  # of the region: left of it runs the operators' lane
RIGHT = WIDTH - 44  # right of it runs the lane of alarms from the edge
SIDE = 256.0  # width of the column beside the VPC
OPERATOR_LANE = 30.0
EDGE_LANE = WIDTH - 26


@dataclass(frozen=True)
class _EdgePlaces:
    bottom: float
    to_app: Point | None  # where requests leave CloudFront downwards
    to_static: Point | None
    operators: Rect | None
    alarms: Rect | None


def draw(architecture: Architecture) -> Scene:
    """Return the scene of one architecture."""
    scene = Scene(WIDTH, f"Architecture of {architecture.name}", describe(architecture))
    scene.text(MARGIN, 34, architecture.name, 500, size=22, bold=True)
    source = f"Drawn from the templates and params/{architecture.environment}.json by deploy.py graph"
    scene.text(WIDTH - MARGIN, 32, source, 620, anchor="end", kind="muted")
    edge = _draw_edge(scene, architecture, 54)
    region_top = edge.bottom + 46
    vpc, below = _draw_region(scene, architecture, region_top, edge)
    _draw_operators(scene, edge, vpc)
    operations = draw_operations(scene, architecture, LEFT + MARGIN, RIGHT - MARGIN, below + MARGIN)
    region_bottom = operations.bottom + MARGIN
    header = f"Region {architecture.region}"
    # The region's frame is the lowest layer, and its height is known only now.
    count = len(scene.frames)
    scene.frame(Rect(LEFT, region_top, RIGHT - LEFT, region_bottom - region_top), "region", header)
    scene.frames.insert(0, scene.frames.pop(count))
    bottom = _draw_foot(scene, architecture, region_bottom + 22, operations.chat)
    if edge.alarms and operations.chat:
        y = operations.chat.middle
        start = (edge.alarms.right, edge.alarms.middle)
        scene.arrow("signal", start, (EDGE_LANE, start[1]), (EDGE_LANE, y), (operations.chat.right, y))
    scene.height = bottom + MARGIN
    return scene


# --- Edge ------------------------------------------------------------------------------------------------------------


def _draw_edge(scene: Scene, architecture: Architecture, top: float) -> _EdgePlaces:
    edge = architecture.edge
    lane = _request_lane(architecture)
    viewers = Rect(MARGIN, top + HEADER, 122, 88 if edge and edge.dns else 44)
    operators = None
    if any(service.exec for service in architecture.services):
        sessions = ["ECS Exec", *(["database tunnel"] if architecture.database else [])]
        place = Rect(MARGIN, viewers.bottom + 16, 122, card_height(len(sessions)))
        operators = scene.card(place, "actor", "Operators", sessions)
    bottom = operators.bottom if operators else viewers.bottom
    if edge is None:
        return _EdgePlaces(bottom, None, None, operators, None)
    scene.card(viewers, "actor", "Viewers")
    rules = [*edge.web_acl.rules, *(["writes a log"] if edge.web_acl.logged else [])] if edge.web_acl else []
    content = max(card_height(len(rules)), 104, bottom - top - HEADER - PAD)
    bottom = top + HEADER + content + PAD
    scene.frame(Rect(170, top, 560, bottom - top), "edge", "AWS edge locations (global)")
    cloudfront = _draw_cloudfront(scene, edge, Rect(386, top + HEADER, 328, content), viewers)
    alarms = _draw_companions(scene, architecture, Rect(760, top, RIGHT - 760, bottom - top), rules, cloudfront)
    to_app = (min(max(lane, cloudfront.x + 20), cloudfront.right - 60), cloudfront.bottom)
    return _EdgePlaces(bottom, to_app, (cloudfront.right - 24, cloudfront.bottom), operators, alarms)


def _draw_cloudfront(scene: Scene, edge: Edge, rect: Rect, viewers: Rect) -> Rect:
    names = ", ".join(edge.names) or "its own name at cloudfront.net"
    certificate = [f"TLS certificate for {edge.certificate}"] if edge.certificate else []
    scene.card(rect, "network", "CloudFront", [names, *certificate, *edge.facts])
    https = viewers.bottom - 18
    scene.arrow("request", (viewers.right, https), (rect.x, https))
    scene.text(190, https - 6, "HTTPS", 120, kind="request")
    if edge.dns:
        dns = viewers.y + 22
        record = Rect(240, viewers.y, 110, 44)
        scene.card(record, "network", "Route 53", ["alias"])
        scene.arrow("outbound", (viewers.right, dns), (record.x, dns))
        scene.arrow("outbound", (record.right, dns), (rect.x, dns))
        scene.text(190, dns - 6, "DNS", 40, kind="outbound")
    return rect


def _draw_companions(
    scene: Scene, architecture: Architecture, frame: Rect, rules: list[str], cloudfront: Rect
) -> Rect | None:
    """What CloudFront needs in the region that it reads from; gives the card of the alarms there."""
    edge, alarms = architecture.edge, architecture.edge_alarms
    if not rules and not alarms:
        return None
    scene.frame(frame, "region", f"Region {architecture.edge_region}")
    top, width = frame.y + HEADER, (frame.width - 3 * 12) / 2
    if edge and edge.web_acl:
        acl = scene.card(Rect(frame.x + 12, top, width, frame.bottom - top - PAD), "security", "WAF web ACL", rules)
        scene.arrow("outbound", (acl.x, acl.middle), (cloudfront.right, acl.middle), head=False)
    if alarms is None:
        return None
    lines = [f"{alarms.count} alarms on", *wrap_list(alarms.subjects, width), f"to topic {', '.join(alarms.topics)}"]
    right = frame.right - 12 - width
    return scene.card(Rect(right, top, width, card_height(len(lines))), "operations", "CloudWatch and SNS", lines)


# --- Region ----------------------------------------------------------------------------------------------------------


def _request_lane(architecture: Architecture) -> float:
    """Return the position of CloudFront above the lane of requests through the VPC."""
    vpc = _vpc_rect(0)
    zones = max(len(architecture.network.zones), 1) if architecture.network else 1
    return VpcPlaces.columns(vpc, zones)[1][0]


def _vpc_rect(top: float) -> Rect:
    return Rect(LEFT + MARGIN, top, RIGHT - LEFT - 3 * MARGIN - SIDE, 0)


def _draw_region(
    scene: Scene, architecture: Architecture, top: float, edge: _EdgePlaces
) -> tuple[VpcPlaces | None, float]:
    """The VPC and the column beside it. The bottom is that of the longer one."""
    content = top + HEADER + 22
    vpc = draw_vpc(scene, architecture, _vpc_rect(content)) if architecture.network else None
    side = Rect(RIGHT - MARGIN - SIDE, content, SIDE, 0)
    bottom = _draw_side(scene, architecture, side, edge)
    if vpc and edge.to_app and architecture.edge and architecture.edge.origin:
        origin = architecture.edge.origin
        if vpc.entrance and origin.through_balancer:
            x = vpc.entrance[0]
            between = edge.bottom + 23
            points = (
                [edge.to_app, vpc.entrance]
                if x == edge.to_app[0]
                else [edge.to_app, (edge.to_app[0], between), (x, between), vpc.entrance]
            )
            scene.arrow("request", *points)
            header = f" with header {origin.header}" if origin.header else ""
            # Beside the line, on the side to which it does not turn.
            aside, anchor = (8, "start") if x < edge.to_app[0] else (-8, "end")
            words = origin.protocol + header
            scene.text(edge.to_app[0] + aside, between + 4, words, 220, anchor=anchor, kind="request")
    return vpc, max(bottom, vpc.bottom if vpc else bottom)


def _draw_side(scene: Scene, architecture: Architecture, column: Rect, edge: _EdgePlaces) -> float:
    """What belongs to the region and not to the VPC, one card below the other."""
    y = column.y
    static = architecture.edge.static if architecture.edge else None

    def card(kind: str, title: str, lines: list[str]) -> Rect:
        nonlocal y
        rect = scene.card(Rect(column.x, y, column.width, card_height(len(lines))), kind, title, lines)
        y = rect.bottom + 12
        return rect

    if static:
        lines = [
            *wrap_list(static.facts, column.width),
            *([f"filled by {static.filled_by}"] if static.filled_by else []),
        ]
        bucket = card("storage", "S3 static bucket", lines)
        if edge.to_static:
            between = edge.bottom + 23
            start, x = edge.to_static, bucket.center
            scene.arrow("request", start, (start[0], between), (x, between), (x, bucket.y))
            control = "Origin access control: " if static.access_control else ""
            scene.text(start[0] + 12, between - 6, control + ", ".join(static.paths), x - start[0] - 12, kind="request")
    for function in architecture.functions:
        when = [function.when] if function.when else []
        card("compute", f"Lambda {function.name}", [*wrap(function.purpose, column.width), *when])
    for store in architecture.stores:
        card("storage", store.name, wrap(store.purpose, column.width))
    for secret in architecture.secrets:
        card("security", f"Secret: {secret.name}", wrap(secret.purpose, column.width))
    if architecture.keys:
        lines = [
            line
            for key in architecture.keys
            for line in wrap(f"{key.name}: {key.purpose[:1].lower()}{key.purpose[1:]}", column.width)
        ]
        card("security", "KMS keys", lines)
    if architecture.repositories:
        card("storage", "ECR repositories", wrap_list(architecture.repositories, column.width))
    if architecture.access_logs:
        card("storage", "S3 access logs", wrap_list(architecture.access_logs, column.width))
    return y - 12


def _draw_operators(scene: Scene, edge: _EdgePlaces, vpc: VpcPlaces | None) -> None:
    if edge.operators is None or vpc is None or not vpc.bastions:
        return
    top = (OPERATOR_LANE, edge.operators.bottom)
    for x, y in vpc.bastions:
        scene.arrow("operator", top, (OPERATOR_LANE, y), (x, y))
        top = (OPERATOR_LANE, y)


# --- Foot ------------------------------------------------------------------------------------------------------------


def _draw_foot(scene: Scene, architecture: Architecture, top: float, chat: Rect | None) -> float:
    """Draw the legend, and the recipients of alarms."""
    bottom = top + 24
    used = {arrow.kind for arrow in scene.arrows}
    x = LEFT
    for kind, words, width in (
        ("request", "requests", 116),
        ("query", "database", 116),
        ("operator", "operators", 122),
        ("outbound", "outbound, DNS, rules", 196),
        ("signal", "logs, alarms, notices", 190),
    ):
        if kind in used:
            scene.arrow(kind, (x, top + 12), (x + 34, top + 12))
            scene.text(x + 42, top + 16, words, width - 46, kind="muted")
            x += width
    if chat and architecture.chat:
        slack = Rect(chat.x, top + 8, chat.width, card_height(1))
        scene.card(slack, "actor", "Slack channel", [architecture.chat.channel])
        scene.arrow("signal", (chat.center, chat.bottom), (chat.center, slack.y))
        bottom = slack.bottom
    for sentence in architecture.exceptions:
        bottom += 20
        scene.text(LEFT, bottom, f"declared: {sentence}", RIGHT - LEFT, kind="muted")
    return bottom


def describe(architecture: Architecture) -> str:
    """Return the picture in words, for readers who cannot see it."""
    parts = [f"{architecture.name} in {architecture.region}."]
    if architecture.edge:
        names = ", ".join(architecture.edge.names) or "CloudFront's own name"
        parts.append(f"Viewers reach CloudFront at {names}" + (", behind WAF." if architecture.edge.web_acl else "."))
    if network := architecture.network:
        nats = ", ".join(network.nat_zones) or "no zone"
        parts.append(f"VPC {network.cidr} in zones {', '.join(network.zones)}; NAT gateways in {nats}.")
    for service in architecture.services:
        containers = " and ".join(f"{item.name} ({item.image})" for item in service.containers)
        if service.is_job:
            facts = f"Job {service.name}: {service.started_by}, {service.size}"
        else:
            name = f"{service.name} ({service.started_by})" if service.started_by else service.name
            facts = f"Service {name}: {service.tasks} of {service.size}"
        parts.append(f"{facts}, each with {containers}.")
    if database := architecture.database:
        instances = " and ".join(item.role for item in database.instances)
        parts.append(f"{database.engine} with {instances}; {', '.join(database.facts)}.")
    if logs := architecture.logs:
        archived = f"; {logs.archived} of them archived in S3" if architecture.archive else ""
        parts.append(f"{logs.groups} log groups, kept {logs.retention}{archived}.")
    if architecture.alarms:
        chat = f", to Slack channel {architecture.chat.channel}" if architecture.chat else ""
        parts.append(f"{architecture.alarms.count} alarms{chat}.")
    parts += [f"Declared: {sentence}." for sentence in architecture.exceptions]
    return " ".join(parts)
