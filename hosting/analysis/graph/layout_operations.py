"""The foot of the region: logs to the archive, alarms and notices to the chat."""

from __future__ import annotations

from dataclasses import dataclass

from hosting.analysis.graph.model import Alarms, Architecture, Notices
from hosting.analysis.graph.scene import (
    HEADER,
    PAD,
    Rect,
    Scene,
    card_height,
    wrap,
    wrap_list,
)

_STEP = 44.0  # between two cards of a chain: an arrow
_FIRST = 330.0  # width of the first card of a chain, which lists the sources


@dataclass(frozen=True)
class OperationsPlaces:
    bottom: float
    chat: Rect | None


def draw_operations(
    scene: Scene, architecture: Architecture, left: float, right: float, top: float
) -> OperationsPlaces:
    columns = _columns(left + 12, right - 12)
    y = top
    if architecture.logs:
        y = _draw_logs(scene, architecture, columns, Rect(left, y, right - left, 0)) + 12
    bottom, chat = _draw_alarms(scene, architecture, columns, Rect(left, y, right - left, 0))
    return OperationsPlaces(bottom if bottom > y else y - 12, chat)


def _columns(left: float, right: float) -> list[Rect]:
    width = (right - left - _FIRST - 3 * _STEP) / 3
    rest = [Rect(left + _FIRST + _STEP + number * (width + _STEP), 0, width, 0) for number in range(3)]
    return [Rect(left, 0, _FIRST, 0), *rest]


def _at(column: Rect, y: float, height: float) -> Rect:
    return Rect(column.x, y, column.width, height)


def _draw_logs(scene: Scene, architecture: Architecture, columns: list[Rect], frame: Rect) -> float:
    logs, archive = architecture.logs, architecture.archive
    if logs is None:
        return frame.y
    y = frame.y + HEADER
    sources = [f"{logs.groups} log groups, kept {logs.retention}", *wrap_list(logs.sources, columns[0].width)]
    chain: list[tuple[str, str, list[str]]] = [("operations", "CloudWatch Logs", sources)]
    if archive and logs.archived:
        chain.append(("operations", "Firehose", [f"takes {logs.archived} log groups"]))
        if archive.processor:
            purpose = wrap(archive.processor.purpose, columns[2].width)
            chain.append(("compute", f"Lambda {archive.processor.name}", purpose))
        kept = ["encrypted"] if archive.encrypted else []
        chain.append(("storage", "S3 archive", [*archive.lifecycle, *kept]))
    elif archive:
        words = "No log group is subscribed: logs end with their retention. Firehose and bucket are idle."
        chain.append(("operations", "Archive off", wrap(words, columns[2].right - columns[1].x)))
    height = max(card_height(len(lines)) for _, _, lines in chain)
    before = None
    places = [*columns[: len(chain) - 1], columns[-1]] if len(chain) > 2 else columns
    for (kind, title, lines), column in zip(chain, places, strict=False):
        rect = _at(column, y, height)
        if title == "Archive off":
            rect = Rect(rect.x, y, columns[2].right - rect.x, height)
        scene.card(rect, kind, title, lines)
        if before and logs.archived:
            scene.arrow("signal", (before.right, rect.middle), (rect.x, rect.middle))
        before = rect
    scene.frame(Rect(frame.x, frame.y, frame.width, HEADER + height + PAD), "group", "Logs")
    return y + height + PAD


def _draw_alarms(
    scene: Scene, architecture: Architecture, columns: list[Rect], frame: Rect
) -> tuple[float, Rect | None]:
    """Alarms reach the chat through their topic; events become text in a function before."""
    alarms, notices, chat = architecture.alarms, architecture.notices, architecture.chat
    if alarms is None and notices is None:
        return frame.y, None
    y = frame.y + HEADER
    rows: list[tuple[float, str | None]] = []  # position of a topic, and its name
    if alarms:
        bottom, middle = _draw_alarm_row(scene, alarms, columns, y)
        rows.append((middle, ", ".join(alarms.topics)))
        y = bottom + PAD
    if notices:
        bottom, middle = _draw_notice_row(scene, notices, columns, y)
        rows.append((middle, notices.topic))
        y = bottom + PAD
    top = frame.y + HEADER
    box = _at(columns[3], top, y - PAD - top) if chat else None
    if chat and box:
        # The service has a new name, and its resource type the old one.
        name = wrap("now Amazon Q Developer in chat applications", box.width)
        topics = wrap_list([f"topics {chat.topics[0]}", *chat.topics[1:]], box.width)
        scene.card(box, "operations", "AWS Chatbot", [*topics, *name])
    for middle, topic in rows:
        if topic:
            rect = scene.card(_at(columns[2], middle - 22, 44), "operations", "SNS topic", [topic])
            if chat and box and topic in chat.topics:
                scene.arrow("signal", (rect.right, middle), (box.x, middle))
    scene.frame(Rect(frame.x, frame.y, frame.width, y - frame.y), "group", "Alarms and notices")
    return y, box


def _draw_alarm_row(scene: Scene, alarms: Alarms, columns: list[Rect], y: float) -> tuple[float, float]:
    lines = [f"{alarms.count} alarms", *wrap_list(alarms.subjects, columns[0].width)]
    rect = scene.card(_at(columns[0], y, max(card_height(len(lines)), 44)), "operations", "CloudWatch alarms", lines)
    if alarms.topics:
        scene.arrow("signal", (rect.right, rect.middle), (columns[2].x, rect.middle))
    return rect.bottom, rect.middle


def _draw_notice_row(scene: Scene, notices: Notices, columns: list[Rect], y: float) -> tuple[float, float]:
    lines = wrap_list(notices.sources, columns[0].width)
    purpose = wrap(notices.function.purpose, columns[1].width)
    height = max(card_height(len(lines)), card_height(len(purpose)), 44)
    rect = _at(columns[0], y, height)
    if lines:
        scene.card(rect, "operations", "Events", lines)
        scene.arrow("signal", (rect.right, rect.middle), (columns[1].x, rect.middle))
    function = scene.card(_at(columns[1], y, height), "compute", f"Lambda {notices.function.name}", purpose)
    if notices.topic:
        scene.arrow("signal", (function.right, function.middle), (columns[2].x, function.middle))
    return rect.bottom, rect.middle
