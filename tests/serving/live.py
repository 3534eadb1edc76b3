"""A real server of an application, in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from gonogo.serving.app import App
from gonogo.serving.connection import config


@contextmanager
def serve(app: App, *, quick: bool = True) -> Iterator[int]:
    """The port it listens on; stopped and waited for at the end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(config(app, quick=quick))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


def talk(port: int, data: bytes, *, timeout_s: float = 5.0) -> bytes:
    """What the server says to these bytes until it closes the connection, or falls silent for the timeout (then TimeoutError)."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(data)
        said = b""
        while piece := connection.recv(65536):
            said += piece
        return said
