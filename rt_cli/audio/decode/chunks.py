"""Chunks of bytes that a program gives, as a source."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from rt_cli.audio.decode.stream_decoder import StreamDecoder
from rt_cli.audio.source import Block, SourceInfo
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.pcm import PcmLayout


class ChunkSource:
    """A :class:`~rt_cli.audio.source.Source` over an asynchronous iterable of bytes: raw PCM, or a WAV stream.

    Args:
        chunks: The bytes, split anywhere. Iterated once, on the event loop.
        raw: Layout of raw PCM. A WAV header overrides it.
        wire_rate_hz: Rate of the blocks.
        live: Value of ``info.live``.
        pick: The channels to use.
    """

    def __init__(
        self, chunks: AsyncIterable[bytes], raw: PcmLayout, wire_rate_hz: int, *, live: bool, pick: Pick = "mix"
    ) -> None:
        self.info = SourceInfo("chunks", "pipe", live, raw.rate_hz, raw.channels)
        self._chunks = chunks
        self._decoder = StreamDecoder(raw, wire_rate_hz, pick)
        self._stopped = asyncio.Event()

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the audio as it arrives, until the end of the chunks or :meth:`stop`. Iterate once; safe to cancel.

        Raises:
            AudioError: The header is invalid, or there is no audio at all, or the iterable fails.
        """
        iterator = aiter(self._chunks)
        has_audio = False
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            while (data := await _next(iterator, stopped)) is not None:
                if pcm := self._decoder.push(data):
                    has_audio = True
                    yield Block(pcm)
        finally:
            stopped.cancel()
        if self._decoder.bytes_in and (pcm := self._decoder.finish()):
            has_audio = True
            yield Block(pcm)
        if not has_audio and not self._stopped.is_set():
            raise AudioError("no audio in the chunks", "the program gave none", code="empty")

    def stop(self) -> None:
        """End capture now. Idempotent."""
        self._stopped.set()

    async def aclose(self) -> None:
        """End capture. The iterable is not closed: it belongs to the program."""
        self.stop()


async def _next(iterator: AsyncIterator[bytes], stopped: asyncio.Future[Literal[True]]) -> bytes | None:
    """Wait for the next chunk; None at the end, or once capture is stopped."""
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
