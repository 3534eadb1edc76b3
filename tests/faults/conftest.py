"""The same world as that of the server's tests."""

from __future__ import annotations

from tests.web.conftest import released_world, world

__all__ = ["released_world", "world"]
