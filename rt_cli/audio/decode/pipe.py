"""Sound from a pipe: raw PCM or WAV on standard input."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from rt_cli.audio.decode.stream_decoder import StreamDecoder
from rt_cli.audio.pcm import PcmLayout
from rt_cli.audio.source import Block, SourceInfo
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rt_cli.audio.channels import Pick
    from rt_cli.settings import Encoding

_READ_BYTES = 32 * 1024
"""Decoded on the event loop in 3 ms at worst (A-law at 8 kHz); half of what a Linux pipe holds."""
_AHEAD = 2
"""Reads that may wait for the consumer: what makes the producer of a finite stream wait."""


def open_pipe(
    stream: BinaryIO | None,
    *,
    wire_rate_hz: int,
    encoding: Encoding = "s16le",
    sample_rate: int = 24_000,
    channels: int = 1,
    live: bool,
    name: str = "-",
    pick: Pick = "mix",
) -> PipeSource:
    """Open standard input, or another stream of bytes, as a source. Reads nothing yet.

    Args:
        stream: Stays the caller's: it is never closed here. Nothing else may read it. None is a closed standard input.
        wire_rate_hz: Of the blocks.
        encoding: Of raw PCM; a WAV header overrides this and the next two.
        sample_rate: Hertz.
        channels: Interleaved.
        live: What the source says of itself. A consumer that always reads never blocks the producer, one that does not
            makes it wait.
        name: What errors and output call it.
        pick: Which channels are heard; of ``split`` the blocks hold two, interleaved.

    Raises:
        AudioError: There is no stream.
    """
    if stream is None:
        raise AudioError("stdin is closed", "pipe sound into it")
    return PipeSource(stream, PcmLayout(encoding, sample_rate, channels), wire_rate_hz, live=live, name=name, pick=pick)


class PipeSource:
    """A :class:`~rt_cli.audio.source.Source` over a stream of bytes.

    The blocking read lives in a daemon thread: neither :meth:`stop` nor the end of the program waits for it.
    """

    def __init__(
        self, stream: BinaryIO, raw: PcmLayout, wire_rate_hz: int, *, live: bool, name: str, pick: Pick
    ) -> None:
        self._read = _reader(stream)
        self._decoder = StreamDecoder(raw, wire_rate_hz, pick)
        self._info = SourceInfo(name, "pipe", live, raw.rate_hz, raw.channels)
        self._inbox: asyncio.Queue[bytes | OSError] = asyncio.Queue()
        self._permits = threading.Semaphore(_AHEAD)
        self._failure: AudioError | None = None
        self._stopped = False
        self._retired = False

    @property
    def info(self) -> SourceInfo:
        """What was opened; rate and channels are those of the WAV header from the first block on."""
        return self._info

    @property
    def tail_bytes(self) -> int:
        """Bytes at the very end that made no whole frame and were left out."""
        return self._decoder.tail_bytes

    async def blocks(self) -> AsyncIterator[Block]:
        """The sound as it comes, until its end or :meth:`stop`. Read it once; safe to cancel.

        Raises:
            AudioError: The header cannot be read, reading fails, or there was no sound at all.
        """
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._pump, args=(loop,), name="rt-pipe", daemon=True).start()
        heard = False
        try:
            while not self._decoder.ended and (data := await self._next()):
                if pcm := self._decoder.push(data):
                    heard = True
                    self._describe()
                    yield Block(pcm)
            if pcm := self._finish():
                heard = True
                self._describe()
                yield Block(pcm)
        finally:
            self._retire()
        if self._failure:
            raise self._failure
        if not heard and not self._stopped:
            raise AudioError(f"no audio on {self._spoken_name}", "the program before the pipe wrote none")

    def stop(self) -> None:
        """End capture now. What was read is still yielded; a read that goes on is left alone. Idempotent."""
        if not self._stopped:
            self._stopped = True
            self._retire()
            self._inbox.put_nowait(b"")

    async def aclose(self) -> None:
        """Let go of the stream, which stays open. Idempotent."""
        self.stop()

    async def _next(self) -> bytes:
        """The bytes read next; none at the end."""
        item = await self._inbox.get()
        self._permits.release()
        if isinstance(item, OSError):
            self._failure = AudioError(f"{self._spoken_name} cannot be read", item.strerror or str(item))
            return b""
        return item

    def _finish(self) -> bytes:
        """The rest of the sound. A stream that was empty, or stopped in its header, has none: no fault of it."""
        if self._decoder.bytes_in == 0:
            return b""
        try:
            return self._decoder.finish()
        except AudioError:
            if self._stopped or self._failure:
                return b""
            raise

    def _describe(self) -> None:
        layout = self._decoder.layout
        if (layout.rate_hz, layout.channels) != (self._info.rate_hz, self._info.channels):
            self._info = replace(self._info, rate_hz=layout.rate_hz, channels=layout.channels)

    @property
    def _spoken_name(self) -> str:
        return "stdin" if self._info.name == "-" else self._info.name

    def _retire(self) -> None:
        """Let the thread run into its end wherever it waits for the consumer."""
        self._retired = True
        self._permits.release()

    def _pump(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs in the thread: read, hand over, wait for the consumer."""
        item: bytes | OSError = b"."
        while item and isinstance(item, bytes):
            self._permits.acquire()
            if self._retired:
                return
            try:
                item = self._read()
            except OSError as error:
                item = error
            try:
                loop.call_soon_threadsafe(self._inbox.put_nowait, item)
            except RuntimeError:
                return  # the loop has been closed: nobody is left to listen


def _reader(stream: BinaryIO) -> Callable[[], bytes]:
    """A call that blocks until there is something to read, and gives what there is; nothing at the end."""
    try:
        stream.fileno()
    except OSError:  # io.UnsupportedOperation: a stream in memory
        return lambda: stream.read(_READ_BYTES)
    # Past Python's buffer: its lock, held by a thread that reads, would be waited for when the program ends.
    return lambda: _read_descriptor(stream)


def _read_descriptor(stream: BinaryIO) -> bytes:
    while True:
        try:
            # Asked for anew: the number of a stream that was closed meanwhile may belong to another file.
            return os.read(stream.fileno(), _READ_BYTES)
        except BlockingIOError:
            # Another program that shares it made it non-blocking.
            select.select([stream], [], [])
        except ValueError as error:
            raise OSError(errno.EBADF, "it was closed") from error
