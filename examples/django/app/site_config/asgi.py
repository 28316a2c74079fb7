"""ASGI application: Django for HTTP, and one WebSocket."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_config.settings")
django = get_asgi_application()

from notes.websocket import count_words  # noqa: E402 -- Django has to be set up first


async def application(scope, receive, send):
    """Pass on WebSockets of /ws and all requests; let the server handle its own start and stop."""
    if scope["type"] == "websocket":
        await count_words(scope, receive, send)
    elif scope["type"] == "http":
        await django(scope, receive, send)
