"""A WebSocket that counts the words of each message."""


async def count_words(scope, receive, send):
    """Answer each text with its number of words. Refuse other paths."""
    await receive()
    if scope["path"] != "/ws":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": str(len((message.get("text") or "").split()))})
