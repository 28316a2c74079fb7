"""Renders the architecture as a Mermaid flowchart, which GitHub and many editors draw from Markdown."""

from __future__ import annotations

import re

from hosting.analysis.graph.model import Architecture, Edge, Network, Service


def render(architecture: Architecture) -> str:
    """Return an architecture as a Mermaid flowchart."""
    chart = _Chart()
    chart.line(f"%% {architecture.name}, drawn by deploy.py graph")
    chart.line("flowchart TB")
    if edge := architecture.edge:
        _edge(chart, architecture, edge)
    if any(service.exec for service in architecture.services):
        chart.node("operators", "Operators", shape="([])")
    chart.open("region", f"Region {architecture.region}")
    if network := architecture.network:
        _network(chart, architecture, network)
    _beside(chart, architecture)
    _operations(chart, architecture)
    chart.close()
    _links(chart, architecture)
    if architecture.exceptions:
        chart.node("declared", "Declared exceptions", *architecture.exceptions)
    return "\n".join(chart.lines) + "\n"


class _Chart:
    """The lines of a chart, indented by subgraph."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0
        self.nodes: set[str] = set()

    def line(self, text: str) -> None:
        self.lines.append("  " * self.depth + text)

    def open(self, key: str, title: str) -> None:
        self.line(f"subgraph {_id(key)} [{_quoted(title)}]")
        self.depth += 1
        self.nodes.add(_id(key))

    def close(self) -> None:
        self.depth -= 1
        self.line("end")

    def node(self, key: str, *lines: str, shape: str = "[]") -> None:
        self.nodes.add(_id(key))
        left, right = shape[: len(shape) // 2], shape[len(shape) // 2 :]
        self.line(f"{_id(key)}{left}{_quoted(*lines)}{right}")

    def link(self, start: str, end: str, label: str = "", arrow: str = "-->") -> None:
        """Add a link between existing nodes; a link to a missing node is omitted."""
        if {_id(start), _id(end)} <= self.nodes:
            self.line(f"{_id(start)} {arrow}{f'|{_quoted(label)}|' if label else ''} {_id(end)}")


def _id(key: str) -> str:
    """Return a node id: letters, digits and underscores, and no keyword such as `end`."""
    return re.sub(r"\W", "_", key) + "_"


def _quoted(*lines: str) -> str:
    text = "<br/>".join(
        line.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;") for line in lines if line
    )
    return f'"{text}"'


def _edge(chart: _Chart, architecture: Architecture, edge: Edge) -> None:
    chart.node("viewers", "Viewers", shape="([])")
    chart.open("edge", "AWS edge locations (global)")
    if edge.dns:
        chart.node("dns", "Route 53", *edge.names)
    chart.node("cloudfront", "CloudFront", ", ".join(edge.names) or "its own name at cloudfront.net", *edge.facts)
    chart.close()
    if edge.web_acl or architecture.edge_alarms:
        chart.open("companions", f"Region {architecture.edge_region}")
        if edge.web_acl:
            chart.node("waf", "WAF web ACL", *edge.web_acl.rules)
        if alarms := architecture.edge_alarms:
            chart.node("edge_alarms", f"{alarms.count} alarms", ", ".join(alarms.subjects))
            for topic in alarms.topics:
                chart.node(f"topic {topic}", "SNS topic", topic)
        chart.close()


def _network(chart: _Chart, architecture: Architecture, network: Network) -> None:
    chart.open("vpc", f"VPC {network.cidr}")
    if network.internet_gateway:
        chart.node("internet", "Internet gateway")
    for tier, title in (("public", "Public subnets"), ("app", "Private app subnets"), ("database", "Database subnets")):
        subnets = [item for item in network.subnets if item.tier == tier]
        if not subnets:
            continue
        chart.open(tier, f"{title}: " + ", ".join(f"{item.cidr} in {item.zone}" for item in subnets))
        if tier == "public":
            if balancer := architecture.balancer:
                chart.node("balancer", "Application Load Balancer", balancer.scheme, *balancer.listeners)
            for zone in network.nat_zones:
                chart.node(f"nat {zone}", "NAT gateway", zone)
        elif tier == "app":
            for service in architecture.services:
                _service(chart, service)
            names = ", ".join((*network.interface_endpoints, *network.gateway_endpoints))
            if names:
                chart.node("endpoints", "VPC endpoints", names)
        elif database := architecture.database:
            chart.open("cluster", ", ".join((database.engine, *database.facts)))
            for number, instance in enumerate(database.instances):
                chart.node(f"db {number}", instance.role.capitalize(), instance.size, instance.zone or "", shape="[()]")
            chart.close()
        chart.close()
    chart.close()


def _service(chart: _Chart, service: Service) -> None:
    facts = (f"{service.name}: {service.tasks}", service.size, service.started_by)
    chart.open(f"service {service.name}", ", ".join(filter(None, facts)))
    for item in service.containers:
        chart.node(f"{service.name} {item.name}", item.name, item.image, *item.notes)
    chart.close()


def _beside(chart: _Chart, architecture: Architecture) -> None:
    if architecture.edge and architecture.edge.static:
        chart.node("static", "S3 static bucket", ", ".join(architecture.edge.static.facts), shape="[()]")
    for store in architecture.stores:
        chart.node(f"store {store.name}", store.name, store.purpose, shape="[()]")
    if architecture.secrets:
        chart.node("secrets", "Secrets", *(item.name for item in architecture.secrets))
    if architecture.keys:
        chart.node("keys", "KMS keys", *(f"{item.name}: {item.purpose}" for item in architecture.keys))
    for function in architecture.functions:
        chart.node(f"function {function.name}", f"Lambda {function.name}", function.when)


def _operations(chart: _Chart, architecture: Architecture) -> None:
    if logs := architecture.logs:
        chart.node("logs", "CloudWatch Logs", f"{logs.groups} log groups, {logs.retention}")
        if (archive := architecture.archive) and logs.archived:
            chart.node("firehose", "Firehose", f"takes {logs.archived} log groups")
            if archive.processor:
                chart.node("processor", f"Lambda {archive.processor.name}")
            chart.node("archive", "S3 archive", *archive.lifecycle, shape="[()]")
    if alarms := architecture.alarms:
        chart.node("alarms", f"{alarms.count} alarms", ", ".join(alarms.subjects))
        for topic in alarms.topics:
            chart.node(f"topic {topic}", "SNS topic", topic)
    if notices := architecture.notices:
        chart.node("events", "Events", *notices.sources)
        chart.node("notifier", f"Lambda {notices.function.name}")
        if notices.topic:
            chart.node(f"topic {notices.topic}", "SNS topic", notices.topic)
    if architecture.chat:
        chart.node("chatbot", "AWS Chatbot")


def _links(chart: _Chart, architecture: Architecture) -> None:
    if architecture.chat:
        chart.node("slack", "Slack channel", architecture.chat.channel, shape="([])")
    edge = architecture.edge
    chart.link("viewers", "dns", "DNS", "-.->")
    chart.link("viewers", "cloudfront", "HTTPS")
    chart.link("waf", "cloudfront", "protects", "-.-")
    if edge and edge.origin and edge.origin.through_balancer:
        chart.link("cloudfront", "internet", edge.origin.protocol)
        chart.link("internet", "balancer")
    if edge and edge.static:
        control = "origin access control" if edge.static.access_control else ""
        chart.link("cloudfront", "static", control)
    for service in architecture.services:
        _service_links(chart, service)
    network = architecture.network
    # From the gateways and not from the app tier: that link would make Mermaid draw one tier over the other.
    for zone in network.nat_zones if network else ():
        users = sorted({item.zone for item in network.subnets if item.nat_zone == zone}) if network else []
        chart.link(f"nat {zone}", "internet", f"out of {', '.join(users)}" if users else "", "-.->")
    chart.link("logs", "firehose")
    chart.link("firehose", "processor")
    chart.link("processor" if _id("processor") in chart.nodes else "firehose", "archive")
    for key, alarms in (("alarms", architecture.alarms), ("edge_alarms", architecture.edge_alarms)):
        for topic in alarms.topics if alarms else ():
            chart.link(key, f"topic {topic}")
    if notices := architecture.notices:
        chart.link("events", "notifier")
        chart.link("notifier", f"topic {notices.topic}")
    for topic in architecture.chat.topics if architecture.chat else ():
        chart.link(f"topic {topic}", "chatbot")
    chart.link("chatbot", "slack")


def _service_links(chart: _Chart, service: Service) -> None:
    for item in service.containers:
        key = f"{service.name} {item.name}"
        if item.serves and service.paths:
            chart.link("balancer", key, ", ".join(service.paths))
        elif not item.serves and service.exec:
            tunnel = ", database tunnel" if service.database_port else ""
            chart.link("operators", key, f"ECS Exec{tunnel}", "-.->")
    if service.database_port:
        chart.link(f"service {service.name}", "cluster", f"port {service.database_port}")
