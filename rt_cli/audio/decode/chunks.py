"""Chunks of bytes that a program gives, as a byte stream."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator


class ChunkReader:
    """A :class:`~rt_cli.audio.decode.pipe.ByteReader` over an asynchronous iterable.

    Args:
        chunks: Iterated once, on the event loop, and not closed: it belongs to the program.
    """

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = chunks
        self._iterator: AsyncIterator[bytes] | None = None
        self._stopped = asyncio.Event()

    async def next(self) -> bytes:
        """Wait for the next chunk that is not empty; empty at the end, and after :meth:`stop`. Safe to cancel.

        Raises:
            AudioError: The iterable fails.
        """
        if self._iterator is None:
            self._iterator = aiter(self._chunks)
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            while (chunk := await _next(self._iterator, stopped)) is not None:
                if chunk:
                    return chunk
        finally:
            stopped.cancel()
        return b""

    def stop(self) -> None:
        """End the stream now. Idempotent."""
        self._stopped.set()


async def _next(iterator: AsyncIterator[bytes], stopped: asyncio.Future[Literal[True]]) -> bytes | None:
    """Wait for the next chunk; None at the end, or once the stream is stopped."""
    following = asyncio.ensure_future(anext(iterator))
    try:
        await asyncio.wait((following, stopped), return_when=asyncio.FIRST_COMPLETED)
        return following.result() if following.done() else None
    except StopAsyncIteration:
        return None
    except Exception as exc:
        raise AudioError(f"the chunks cannot be read: {exc!r}", "see the program that gives them") from exc
    finally:
        following.cancel()
