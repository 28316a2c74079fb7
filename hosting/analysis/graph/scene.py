"""A drawing as values: frames, cards, arrows and texts at their places. Knows nothing of AWS.

A text carries the room that it has; text that does not fit is shortened here, so nothing ever runs over an edge. Tests
read a scene to see what a picture would show: overlaps, and arrows through words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

TEXT_SIZE = 12.0
TITLE_SIZE = 13.0
LINE = 16.0  # from one line of text to the next
HEADER = 24.0  # height of a frame's own line
PAD = 8.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Rect:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def center(self) -> float:
        return self.x + self.width / 2

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True)
class Frame:
    """A box that contains other shapes. `kind` selects its colours."""

    rect: Rect
    kind: str


@dataclass(frozen=True)
class Card:
    """A box that contains text only."""

    rect: Rect
    kind: str


@dataclass(frozen=True)
class Text:
    """One line of text."""

    x: float
    y: float  # baseline
    words: str
    room: float
    size: float = TEXT_SIZE
    bold: bool = False
    anchor: str = "start"  # "start", "middle" or "end"
    kind: str = "text"

    @property
    def rect(self) -> Rect:
        width = text_width(self.words, self.size, self.bold)
        x = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return Rect(x, self.y - self.size * 0.8, width, self.size)


@dataclass(frozen=True)
class Arrow:
    """A line of horizontal and vertical pieces; its head, if any, is at the last point."""

    points: tuple[Point, ...]
    kind: str
    head: bool = True


@dataclass
class Scene:
    """Shapes, texts and arrows of a picture."""

    width: float
    title: str
    description: str
    height: float = 0.0
    frames: list[Frame] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    def frame(self, rect: Rect, kind: str, left: str = "", right: str = "") -> Rect:
        """Add a frame with a line at its top: a fact at the right, and a heading in the remaining space at the left."""
        self.frames.append(Frame(rect, kind))
        room = rect.width - 2 * PAD
        y = rect.y + 16
        taken = text_width(fit(right, room)) + 2 * PAD if right else 0
        self.text(rect.x + PAD, y, left, room - taken, bold=True, kind=kind)
        self.text(rect.right - PAD, y, right, room, anchor="end", kind=kind)
        return rect

    def card(self, rect: Rect, kind: str, title: str, lines: Sequence[str] = ()) -> Rect:
        """Add a box with a title and lines below it."""
        self.cards.append(Card(rect, kind))
        room = rect.width - 12 - PAD
        self.text(rect.x + 12, rect.y + 17, title, room, size=TITLE_SIZE, bold=True)
        for number, line in enumerate(lines, 1):
            self.text(rect.x + 12, rect.y + 18 + number * LINE, line, room, kind="muted")
        return rect

    def arrow(self, kind: str, *points: Point, head: bool = True) -> None:
        self.arrows.append(Arrow(points, kind, head))

    def text(
        self,
        x: float,
        y: float,
        words: str,
        room: float,
        *,
        size: float = TEXT_SIZE,
        bold: bool = False,
        anchor: str = "start",
        kind: str = "text",
    ) -> None:
        """Add one line of text."""
        if shown := fit(words, room, size, bold):
            self.texts.append(Text(x, y, shown, room, size, bold, anchor, kind))


def card_height(lines: int) -> float:
    return 26 + lines * LINE + (0 if lines else 2)


def wrap(words: str, width: float) -> list[str]:
    """Return a text as lines for a card of a width."""
    return _flow(words.split(), " ", width - 12 - PAD)


def wrap_list(items: Iterable[str], width: float) -> list[str]:
    """Return a list as lines for a card of a width, without splitting items."""
    words = list(items)
    return _flow([item + "," for item in words[:-1]] + words[-1:], " ", width - 12 - PAD)


def _flow(words: Sequence[str], separator: str, room: float) -> list[str]:
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]}{separator}{word}" if lines else word
        if lines and text_width(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def fit(words: str, room: float, size: float = TEXT_SIZE, bold: bool = False) -> str:
    """Return the text, shortened to a width; empty if no letter fits."""
    if text_width(words, size, bold) <= room:
        return words
    while words and text_width(words + "\u2026", size, bold) > room:
        words = words[:-1]
    return words.rstrip(" ,:") + "\u2026" if words else ""


def text_width(words: str, size: float = TEXT_SIZE, bold: bool = False) -> float:
    """Return the maximum width of a text. The reader's font is unknown, so these are the widths of a wide one."""
    width = sum(_WIDTHS.get(letter, 0.66) for letter in words)
    return width * size * (1.1 if bold else 1.0)


# Widths in em of DejaVu Sans, the widest font that system-ui and sans-serif commonly select.
_GROUPS = {
    0.28: "ijl'",
    0.32: " .,:;",
    0.34: "|/\\",
    0.36: "f-",
    0.40: "tI()[]!",
    0.42: "r",
    0.53: "?zs_",
    0.56: "ckxvy*",
    0.62: "aeoFLETZ",
    0.64: "bdghnpqu0123456789SPJ",
    0.70: "ABCKRVXY&",
    0.78: "GDHNOQUw",
    0.84: "+=<>~",
    0.88: "mM%",
    1.0: "W@\u2026",
}
_WIDTHS = {letter: width for width, letters in _GROUPS.items() for letter in letters}
