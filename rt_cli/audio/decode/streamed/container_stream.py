"""A container that comes in pieces (MP3, M4A, Ogg, FLAC, WebM and more), decoded by libav on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from rt_cli.audio.decode.streamed.feed import Feed
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.decode.av_file import MediaDecoder
    from rt_cli.audio.source import Block

_MOST_BLOCKS = 2
"""Most decoded blocks that wait for the consumer."""
_LIVE_BLOCK_FRAMES = 4096
_BLOCK_FRAMES = 1 << 17


class ContainerStream:
    """Decodes the bytes of one container. Made in the running loop.

    Args:
        demuxer: Of libav.
        kind: Name of the format.
        wire_rate_hz: Rate of the blocks.
        pick: The channels to use.
        live: Whether blocks are short, so that they come soon.
    """

    def __init__(self, demuxer: str, kind: str, wire_rate_hz: int, pick: Pick, *, live: bool) -> None:
        self.rate_hz = 0
        """The container's own rate in Hz; 0 until the first block."""
        self.channels = 0
        """Number of its channels; 0 until the first block."""
        self.warnings: list[tuple[str, str]] = []
        """Warnings, as code and text, that nobody has taken yet. Of the loop."""
        self._demuxer = demuxer
        self._kind = kind
        self._wire_rate_hz = wire_rate_hz
        self._pick = pick
        self._frames = _LIVE_BLOCK_FRAMES if live else _BLOCK_FRAMES
        self._feed = Feed()
        self._loop = asyncio.get_running_loop()
        self._decoded: asyncio.Queue[Block | Exception | None] = asyncio.Queue()
        self._permits = threading.Semaphore(_MOST_BLOCKS)
        self._closed = False
        self._thread = threading.Thread(target=self._decode, name="rt-decode", daemon=True)

    async def put(self, data: bytes) -> None:
        """Give the next bytes; wait while too many wait. Safe to cancel."""
        await self._feed.put(data)

    def end(self) -> None:
        """End the container behind the bytes that were given. Idempotent."""
        self._feed.end()

    async def blocks(self) -> AsyncGenerator[Block]:
        """Yield what is decoded, as it comes. Iterate once; safe to cancel.

        Raises:
            AudioError: The container is damaged, ends too early, or has no sound. What can be heard has been yielded.
        """
        self._thread.start()
        try:
            while (item := await self._decoded.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                self._permits.release()
                yield item
        finally:
            self.close()

    def close(self) -> None:
        """Stop decoding. Idempotent; never blocks."""
        self._closed = True
        self._feed.abandon()
        self._permits.release()

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _decode(self) -> None:
        end: Exception | None = None
        try:
            self._decode_all()
        except Exception as exc:  # noqa: BLE001 - the consumer raises it
            end = exc
        self._post(end)

    def _decode_all(self) -> None:
        from rt_cli.audio.decode.av_file import MediaDecoder, UnknownFormatError

        try:
            decoder = MediaDecoder(
                self._feed, self._wire_rate_hz, self._pick, demuxer=self._demuxer, block_frames=self._frames
            )
        except UnknownFormatError:
            raise AudioError(
                f"is damaged or incomplete {self._kind}", "send it as a file, or fetch it again", code="damaged"
            ) from None
        try:
            self.rate_hz, self.channels = decoder.rate_hz, decoder.channels
            while not self._closed and (block := decoder.read()) is not None:
                self._warn(decoder)
                self._permits.acquire()
                self._post(block)
        finally:
            self._warn(decoder, at_end=True)
            decoder.close()

    def _warn(self, decoder: MediaDecoder, *, at_end: bool = False) -> None:
        warnings, decoder.warnings = decoder.warnings, []
        if (silence := decoder.mix_check.warning(at_end=at_end)) is not None:
            warnings.append(silence)
        if warnings:
            self._call(lambda: self.warnings.extend(warnings))

    def _post(self, item: Block | Exception | None) -> None:
        self._call(lambda: self._decoded.put_nowait(item))

    def _call(self, act: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError:
            pass  # the event loop is closed
