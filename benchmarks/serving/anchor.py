"""What does the least server cost that answers the same question with the same predictor? The yardstick of every other.

    PEER_MODEL=FOLDER/peer uvicorn benchmarks.serving.anchor:app --no-access-log

A bare ASGI application: no routing, no canary, no shadow, no log, no metrics, no limits.
"""

from __future__ import annotations

from typing import Any

import msgspec
from benchmarks.serving.predictor import NAMES, load

Row = msgspec.defstruct("Row", [(name, float) for name in NAMES])
_decode = msgspec.json.Decoder(Row).decode
_encode = msgspec.json.Encoder().encode
_predict = load()
_values = msgspec.structs.astuple


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":  # lifespan: nothing to open, nothing to close
        return
    parts = []
    while True:
        message = await receive()
        parts.append(message["body"])
        if not message.get("more_body"):
            break
    try:
        body, status = _encode({"p": _predict(_values(_decode(b"".join(parts))))}), 200
    except msgspec.ValidationError as error:
        body, status = _encode({"error": str(error)}), 422
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})
