"""No replies: responses have no output."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def open_none() -> AsyncIterator[None]:
    """Open no replier."""
    yield None
