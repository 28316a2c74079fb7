"""A notification, and its form as a custom notification of AWS Chatbot (schema 1.0).

Chatbot drops messages of another form without an error, so every text is shortened here.
"""

from dataclasses import dataclass
from typing import Any

# Slack shows 3,000 characters of a text block; the rest of a longer message would be lost, or all of it.
TITLE_LIMIT = 250
DESCRIPTION_LIMIT = 2800
STEP_LIMIT = 600
SHORT_LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class Notification:
    """Title, text and steps are Slack markdown. Text from outside has been escaped by `escape`."""

    id: str
    thread: str
    event_type: str
    title: str
    text: str
    steps: tuple[str, ...]
    resources: tuple[str, ...] = ()
    context: tuple[tuple[str, str], ...] = ()


def document(notification: Notification, environment: str) -> dict[str, Any]:
    """Return a notification as a custom notification of AWS Chatbot."""
    where = f" [{environment}]"
    title = cut(notification.title, TITLE_LIMIT - len(where)) + where
    return {
        "version": "1.0",
        "source": "custom",
        # Lambda and SNS deliver at least once; the same event has the same id each time.
        "id": cut(notification.id, SHORT_LIMIT),
        "content": {
            "textType": "client-markdown",
            "title": title,
            "description": cut(notification.text, DESCRIPTION_LIMIT),
            "nextSteps": [cut(step, STEP_LIMIT) for step in notification.steps],
            "keywords": [environment, notification.event_type],
        },
        "metadata": {
            # What belongs to one subject is one thread; two environments may share a channel.
            "threadId": cut(f"{environment}/{notification.thread}", SHORT_LIMIT),
            "summary": title,
            "eventType": notification.event_type,
            "relatedResources": list(notification.resources),
            "additionalContext": {"environment": environment, **dict(notification.context)},
        },
    }


def escape(text: object) -> str:
    """Escape the three characters that Slack interprets."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: object) -> str:
    """Return text as a block that Slack shows unformatted."""
    return "```" + escape(text).replace("```", "'''") + "```"


def link(url: str, label: str) -> str:
    return f"<{url}|{escape(label)}>"


def cut(text: str, limit: int) -> str:
    """Shorten markdown to a limit, without broken entities, links or blocks."""
    if len(text) <= limit:
        return text
    text = text[: limit - 8]
    # Not in the middle of &amp; or of a link, which would show as rubbish.
    for opening, closing in (("&", ";"), ("<", ">")):
        at = text.rfind(opening)
        if at > text.rfind(closing) and (opening == "<" or len(text) - at < len("&amp;")):
            text = text[:at]
    # A block that lost its end would swallow what follows.
    return text + (" ...```" if text.count("```") % 2 else " ...")
