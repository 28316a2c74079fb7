"""Notification, and its document as AWS Chatbot's custom notification (schema 1.0).

Chatbot drops every other document without an error to the sender, so all texts are shortened here.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redact import Redactor

_redactor = Redactor()

# Slack shows 3,000 characters of a text block. It cuts or drops a longer message.
TITLE_LIMIT = 250
DESCRIPTION_LIMIT = 2800
STEP_LIMIT = 600
SHORT_LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class Notification:
    """A message to people. Title, text and steps are Slack markdown: the texts of an event in them are escaped."""

    id: str
    thread: str
    event_type: str
    title: str
    text: str
    steps: tuple[str, ...]
    resources: tuple[str, ...] = ()
    context: tuple[tuple[str, str], ...] = ()


def document(notification: Notification, environment: str) -> dict[str, Any]:
    """Return the custom notification, with the environment in its title and keywords."""
    where = f" [{environment}]"
    title = cut(notification.title, TITLE_LIMIT - len(where)) + where
    return {
        "version": "1.0",
        "source": "custom",
        # Lambda and SNS deliver at least once. A repeated event has the same id.
        "id": cut(notification.id, SHORT_LIMIT),
        "content": {
            "textType": "client-markdown",
            "title": title,
            "description": cut(notification.text, DESCRIPTION_LIMIT),
            "nextSteps": [cut(step, STEP_LIMIT) for step in notification.steps],
            "keywords": [environment, notification.event_type],
        },
        "metadata": {
            # All notifications of one subject are in one thread. Two environments may share a channel.
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
    """Return a code block, which Slack shows unchanged."""
    return "```" + escape(text).replace("```", "'''") + "```"


def link(url: str, label: str) -> str:
    return f"<{url}|{escape(label)}>"


def redact_text(text: str) -> str:
    """Redact a text whose author is not AWS. More people read the chat than a log or a topic."""
    return _redactor(text)[0]


def runbook(section: str) -> str:
    """Return a step that names a section of the runbook."""
    return f"Read the runbook: docs/incidents.md#{section}"


def duration(time: timedelta) -> str:
    """Return a duration in minutes, or in hours from two hours on."""
    minutes = round(time.total_seconds() / 60)
    return f"{minutes} min" if minutes < 120 else f"{round(minutes / 60)} h"


def cut(text: str, limit: int) -> str:
    """Shorten a text of Slack markdown to a number of characters, and close an open code block."""
    if len(text) <= limit:
        return text
    text = text[: limit - 8]
    # Slack would show half of &amp; or of a link as text.
    for opening, closing in (("&", ";"), ("<", ">")):
        at = text.rfind(opening)
        if at > text.rfind(closing) and (opening == "<" or len(text) - at < len("&amp;")):
            text = text[:at]
    # Slack would format all text after an open code block as code.
    return text + (" ...```" if text.count("```") % 2 else " ...")
