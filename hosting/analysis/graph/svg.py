"""A scene as SVG: one file without scripts, fonts or anything else from elsewhere; the same bytes for the same scene.

Colours are written twice, for light and for dark. The background is drawn, because a page may be dark while the
system is light: what is legible on our own background is legible everywhere. No CSS variables: rsvg-convert and
cairosvg, which make PNGs, do not know them, and take the light colours.
"""

from __future__ import annotations

from html import escape

from hosting.analysis.graph.scene import (
    Arrow,
    Card,
    Frame,
    Rect,
    Scene,
    Text,
)

# What -> (light, dark).
_INK = {"text": ("#1f2328", "#e6edf3"), "muted": ("#57606a", "#9ea7b3"), "paper": ("#ffffff", "#0d1117")}
_CARD = (("#ffffff", "#c4ccd6"), ("#161b22", "#3d444d"))  # (fill, line), light and dark
# Frame -> (fill, line, words), light and dark; dashes.
_FRAMES: dict[str, tuple[tuple[str, str, str], tuple[str, str, str], str]] = {
    "region": (("#ffffff", "#0b7285", "#0b7285"), ("#0d1117", "#3bc9db", "#66d9e8"), "6 4"),
    "edge": (("#ffffff", "#6e7781", "#57606a"), ("#0d1117", "#8b949e", "#9ea7b3"), "6 4"),
    "vpc": (("#fbfaff", "#7048e8", "#5f3dc4"), ("#11131c", "#9775fa", "#b197fc"), ""),
    "zone": (("none", "#8c959f", "#57606a"), ("none", "#6e7681", "#9ea7b3"), "3 4"),
    "public": (("#e9f7ec", "#2b8a3e", "#2b7a39"), ("#10221a", "#37b24d", "#69db7c"), ""),
    "app": (("#e8f2fd", "#1971c2", "#1864ab"), ("#101f30", "#339af0", "#74c0fc"), ""),
    "database": (("#f1ecfc", "#7048e8", "#5f3dc4"), ("#1d1930", "#845ef7", "#b197fc"), ""),
    "cluster": (("none", "#d9480f", "#b8410f"), ("none", "#ff922b", "#ffa94d"), "5 3"),
    "service": (("#fff8f0", "#e8801c", "#9c4a06"), ("#241a10", "#d9771a", "#ffc078"), ""),
    "task": (("none", "#c9a27e", "#57606a"), ("none", "#6b5846", "#9ea7b3"), "2 3"),
    "aurora": (("#f8f5ff", "#5f3dc4", "#5f3dc4"), ("#171427", "#845ef7", "#b197fc"), "5 3"),
    "group": (("none", "#c4ccd6", "#57606a"), ("none", "#3d444d", "#9ea7b3"), ""),
}
# The stripe of a card shows its family of services.
_STRIPES = {
    "actor": ("#57606a", "#9ea7b3"),
    "network": ("#7048e8", "#9775fa"),
    "compute": ("#e8590c", "#ff922b"),
    "data": ("#5f3dc4", "#845ef7"),
    "storage": ("#2f9e44", "#51cf66"),
    "security": ("#c92a2a", "#ff6b6b"),
    "operations": ("#c2255c", "#f06595"),
}
# Arrow -> (light, dark), dashes.
_ARROWS = {
    "request": (("#1971c2", "#4dabf7"), ""),
    "query": (("#5f3dc4", "#9775fa"), ""),
    "operator": (("#c2410c", "#ff922b"), "6 4"),
    "outbound": (("#57606a", "#9ea7b3"), "2 4"),
    "signal": (("#a61e4d", "#f783ac"), ""),
}
_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"


def render(scene: Scene) -> str:
    """Return a scene as SVG."""
    size = f'width="{_number(scene.width)}" height="{_number(scene.height)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {_number(scene.width)} {_number(scene.height)}"'
        ' role="img" aria-labelledby="title description">',
        f'<title id="title">{escape(scene.title)}</title>',
        f'<desc id="description">{escape(scene.description)}</desc>',
        f"<style>\n{_style()}\n</style>",
        f'<rect class="paper" width="{_number(scene.width)}" height="{_number(scene.height)}"/>',
        *(_frame(item) for item in scene.frames),
        *(_card(item) for item in scene.cards),
        *(_arrow(item) for item in scene.arrows),
        *(_text(item) for item in scene.texts),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _style() -> str:
    dashes = [f".f-{kind} {{ stroke-dasharray: {item[2]} }}" for kind, item in _FRAMES.items() if item[2]]
    dashes += [f".a-{kind} {{ stroke-dasharray: {item[1]} }}" for kind, item in _ARROWS.items() if item[1]]
    rules = [
        f"text {{ font-family: {_FONT}; font-size: 12px }}",
        ".a { fill: none; stroke-width: 1.8 }",
        *dashes,
        *_colours(0),
        "@media (prefers-color-scheme: dark) {",
        *_colours(1),
        "}",
    ]
    return "\n".join(rules)


def _colours(scheme: int) -> list[str]:
    """The rules of one colour scheme: 0 light, 1 dark."""
    rules = [f".paper {{ fill: {_INK['paper'][scheme]} }}"]
    rules += [f".t-{kind} {{ fill: {_INK[kind][scheme]} }}" for kind in ("text", "muted")]
    rules.append(f".card {{ fill: {_CARD[scheme][0]}; stroke: {_CARD[scheme][1]} }}")
    for kind, frame in _FRAMES.items():
        fill, line, words = frame[1] if scheme else frame[0]
        rules.append(f".f-{kind} {{ fill: {fill}; stroke: {line} }}")
        rules.append(f".t-{kind} {{ fill: {words} }}")
    rules += [f".s-{kind} {{ fill: {colours[scheme]} }}" for kind, colours in _STRIPES.items()]
    for kind, (colours, _) in _ARROWS.items():
        rules.append(f".a-{kind} {{ stroke: {colours[scheme]} }}")
        rules.append(f".h-{kind}, .t-{kind} {{ fill: {colours[scheme]} }}")
    return rules


def _frame(frame: Frame) -> str:
    return f'<rect class="f-{frame.kind}" {_place(frame.rect)} rx="6"/>'


def _card(card: Card) -> str:
    rect = card.rect
    stripe = Rect(rect.x, rect.y + 4, 4, rect.height - 8)
    return f'<rect class="card" {_place(rect)} rx="5"/><rect class="s-{card.kind}" {_place(stripe)} rx="2"/>'


def _arrow(arrow: Arrow) -> str:
    (x, y), (before_x, before_y) = arrow.points[-1], arrow.points[-2]
    # The head is a shape of its own: a marker could not take the colour of the arrow's class.
    step_x, step_y = _sign(x - before_x), _sign(y - before_y)
    end = (x - 6 * step_x, y - 6 * step_y) if arrow.head else (x, y)
    line = "M" + "L".join([_point(item) for item in arrow.points[:-1]] + [_point(end)])
    text = f'<path class="a a-{arrow.kind}" d="{line}"/>'
    if arrow.head:
        base_x, base_y = x - 8 * step_x, y - 8 * step_y
        corners = [(x, y), (base_x - 4 * step_y, base_y - 4 * step_x), (base_x + 4 * step_y, base_y + 4 * step_x)]
        shape = "L".join([_point(item) for item in corners])
        text += f'<path class="h-{arrow.kind}" d="M{shape}Z"/>'
    return text


def _text(text: Text) -> str:
    attributes = f'class="t-{text.kind}" x="{_number(text.x)}" y="{_number(text.y)}"'
    if text.size != 12:
        attributes += f' style="font-size:{_number(text.size)}px"'
    if text.bold:
        attributes += ' font-weight="600"'
    if text.anchor != "start":
        attributes += f' text-anchor="{text.anchor}"'
    return f"<text {attributes}>{escape(text.words, quote=False)}</text>"


def _place(rect: Rect) -> str:
    return f'x="{_number(rect.x)}" y="{_number(rect.y)}" width="{_number(rect.width)}" height="{_number(rect.height)}"'


def _point(point: tuple[float, float]) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _number(value: float) -> str:
    """Short, and the same on every machine."""
    return f"{round(value, 1):g}" if abs(value) < 1e5 else f"{value:.0f}"
