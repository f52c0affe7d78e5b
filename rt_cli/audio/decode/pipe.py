"""A pipe as a source: raw PCM, WAV, AU, or a container of libav, on standard input."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import threading
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, BinaryIO, Protocol, runtime_checkable

from msgspec.structs import replace

from rt_cli.audio.decode.diagnose import TOLERANCE_S, missing_error
from rt_cli.audio.decode.recognise import HEAD_BYTES, recognise
from rt_cli.audio.decode.stream_decoder import ForeignFormatError, StreamDecoder
from rt_cli.audio.decode.streamed.container import DEMUXERS, Container, check_libav
from rt_cli.audio.pcm import PcmLayout
from rt_cli.audio.source import Block, SourceInfo
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from io import RawIOBase

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.source import Warn
    from rt_cli.settings import Encoding

_READ_BYTES = 32 * 1024
"""Decoding this much takes the event loop at most 3 ms (A-law at 8 kHz). A Linux pipe holds twice as much."""
_FIRST_BYTES_S = 0.5
_MAX_PENDING_READS = 2
"""Most reads that wait for the consumer. At this limit the producer of a finite stream has to wait."""


def open_pipe(
    stream: BinaryIO | ByteReader | None,
    *,
    wire_rate_hz: int,
    encoding: Encoding | None = None,
    sample_rate: int = 24_000,
    channels: int = 1,
    live: bool,
    name: str = "-",
    warn: Warn | None = None,
    pick: Pick = "mix",
    assumed: bool = False,
) -> ByteSource:
    """Open standard input, or another byte stream, as a source. The first read happens in :meth:`ByteSource.blocks`.

    Args:
        stream: The stream, read on a thread; or its reader. The caller closes it, and no other code may read it. None
            means a closed standard input.
        wire_rate_hz: Rate of the blocks.
        encoding: Encoding of raw PCM; None: s16le, and input in another format is decoded, or refused. The header of a
            WAV or AU overrides ``encoding``, ``sample_rate`` and ``channels``.
        sample_rate: Hertz.
        channels: Number of interleaved channels.
        live: Value of ``info.live``. The producer never blocks if the consumer always reads; else the producer waits.
        name: Name for errors and output.
        warn: Called for input that has no header (``no_header``, only if it is assumed), ends before the length in its
            header (``truncated``), goes on behind it (``length``), has text behind its sound (``behind``), ends within
            a sample (``half_sample``), is silence (``silent_input``), or is kept in a temporary file (``kept``).
        pick: The channels to use; for ``split`` the blocks hold two interleaved channels.
        assumed: Whether nobody stated the layout of raw PCM.

    Raises:
        AudioError: ``stream`` is None.
    """
    if stream is None:
        raise AudioError("stdin is closed", "pipe sound into it")
    decoder = StreamDecoder(
        PcmLayout(encoding or "s16le", sample_rate, channels), wire_rate_hz, pick, recognised=encoding is None
    )
    reader = stream if isinstance(stream, ByteReader) else ThreadReader(stream)
    return ByteSource(reader, decoder, live=live, name=name, warn=warn, assumed=assumed)


@runtime_checkable
class ByteReader(Protocol):
    """Gives the bytes of a stream as they come."""

    async def next(self) -> bytes:
        """Wait for the next bytes; empty at the end, and after :meth:`stop`. Safe to cancel.

        Raises:
            OSError, AudioError: The stream cannot be read.
        """
        ...

    def stop(self) -> None:
        """End the stream behind the bytes that are read already. Idempotent."""
        ...


class ByteSource:
    """A :class:`~rt_cli.audio.source.Source` over a byte stream.

    Args:
        reader: Gives the bytes.
        decoder: Decodes them.
        live: See :func:`open_pipe`.
        name: Name for errors and output.
        warn: Receives warnings.
        assumed: See :func:`open_pipe`.
    """

    def __init__(
        self,
        reader: ByteReader,
        decoder: StreamDecoder,
        *,
        live: bool,
        name: str,
        warn: Warn | None = None,
        assumed: bool = False,
    ) -> None:
        self._reader = reader
        self._early: deque[bytes] = deque()
        """Bytes that were read before the first block was asked for."""
        self._at_end = False
        self._assumed = assumed
        self._container: Container | None = None
        self._decoder = decoder
        self._warn = warn
        self._info = SourceInfo(name, "pipe", live, decoder.layout.rate_hz, decoder.layout.channels)
        self._failure: AudioError | None = None
        self._stopped = False

    @property
    def info(self) -> SourceInfo:
        """Properties of the source. From the first block on, rate and channels are those of the WAV header, if any."""
        return self._info

    @property
    def tail_bytes(self) -> int:
        """Bytes at the end of the stream that are no whole frame and are not yielded."""
        return self._decoder.tail_bytes

    async def blocks(self) -> AsyncGenerator[Block]:
        """Yield the audio as it arrives, until the end of the stream or :meth:`stop`. Iterate once; safe to cancel.

        Raises:
            AudioError: The header is invalid, a read fails, the stream has no audio at all, is in a foreign format, or
                ends before the length in its header. All audio before has been yielded.
        """
        has_audio = False
        try:
            async with aclosing(self._decoded()) as blocks:
                async for block in blocks:
                    has_audio = True
                    yield block
        finally:
            self._reader.stop()
        if self._failure:
            raise self._failure
        if not has_audio and not self._stopped:
            hint = "the program before the pipe wrote none" if self._info.name == "-" else "nothing is in it"
            raise AudioError(f"no audio on {self._label}", hint)
        self._check_end()

    def stop(self) -> None:
        """Stop capture now. Idempotent.

        The iterator yields the data read so far and does not wait for a blocked read.
        """
        self._stopped = True
        self._reader.stop()
        if self._container is not None:
            self._container.stop()

    async def check(self) -> None:
        """Wait for the first bytes, but not long, and find out whether they can be decoded. Safe to cancel.

        Raises:
            AudioError: They are of a format that needs a library that is not installed.
        """
        try:
            async with asyncio.timeout(_FIRST_BYTES_S):
                while sum(map(len, self._early)) < HEAD_BYTES and (data := await self._next()):
                    self._early.append(data)
        except TimeoutError:
            pass
        if self._decoder.recognises and (kind := recognise(b"".join(self._early))) in DEMUXERS:
            check_libav(kind)

    async def aclose(self) -> None:
        """Stop reading the stream. The stream stays open. Idempotent."""
        self.stop()

    async def _decoded(self) -> AsyncGenerator[Block]:
        """Yield the sound of PCM, WAV and AU; from where the input shows that it is a container, of that."""
        try:
            while data := self._early.popleft() if self._early else await self._next():
                if pcm := self._decoder.push(data):
                    self._update_info()
                    self._report(self._decoder.mix_check.warning())
                    yield Block(pcm)
            if pcm := self._finish():
                self._update_info()
                yield Block(pcm)
            return
        except ForeignFormatError as foreign:
            if foreign.kind not in DEMUXERS:
                message = foreign.message if self._info.name == "-" else f"{self._label} is {foreign.what}"
                raise AudioError(message, foreign.hint, code=foreign.code) from None
            kind, head = foreign.kind, foreign.head
        check_libav(kind)
        self._container = container = Container(
            kind, head, self._next, self._decoder.wire_rate_hz, self._decoder.pick, self._info, self._report
        )
        try:
            async with aclosing(container.blocks()) as blocks:
                async for block in blocks:
                    self._info = container.info
                    yield block
        except AudioError as error:
            if not self._stopped and self._failure is None:
                raise AudioError(f"{self._label} {error.message}", error.hint, code=error.code) from error.__cause__

    async def _next(self) -> bytes:
        """Wait for the next bytes; empty at the end, or where the stream fails, and from then on."""
        if self._at_end:
            return b""
        data = b""
        try:
            data = await self._reader.next()
        except OSError as error:
            self._failure = AudioError(f"{self._label} cannot be read", error.strerror or str(error))
        except AudioError as error:
            self._failure = error
        self._at_end = not data
        return data

    def _finish(self) -> bytes:
        """Return the rest of the audio. Empty, without an error, for an empty stream or one stopped in its header."""
        if self._decoder.bytes_in == 0:
            return b""
        try:
            return self._decoder.finish()
        except AudioError:
            if self._stopped or self._failure:
                return b""
            raise

    def _check_end(self) -> None:
        """Compare what was heard with what the header announces."""
        if self._container is not None:
            return
        decoder = self._decoder
        self._report(decoder.mix_check.warning(at_end=True))
        if decoder.more_than_stated:
            self._report(("length", "holds more sound than its header says: it is read to its end"))
        if decoder.tail_bytes and not self._stopped:
            are = "1 byte is" if decoder.tail_bytes == 1 else f"{decoder.tail_bytes} bytes are"
            self._report(("half_sample", f"ends within a sample: {are} not sent"))
        if decoder.ignored_bytes:
            self._report(("behind", f"{decoder.ignored_bytes} bytes of text behind the sound are not sent"))
        if decoder.missing_s > TOLERANCE_S and not self._stopped:
            error = missing_error(decoder.heard_s, decoder.missing_s)
            self._report((error.code, error.message))
            raise AudioError(f"{self._label} {error.message}", error.hint, code=error.code)

    def _report(self, warning: tuple[str, str] | None) -> None:
        if warning is not None and self._warn is not None:
            self._warn(warning[0], f"{self._label}: {warning[1]}")

    def _update_info(self) -> None:
        layout = self._decoder.layout
        if self._assumed and self._decoder.is_headerless:
            self._assumed = False
            self._warn_of_layout(layout)
        if (layout.rate_hz, layout.channels) != (self._info.rate_hz, self._info.channels):
            self._info = replace(self._info, rate_hz=layout.rate_hz, channels=layout.channels)

    def _warn_of_layout(self, layout: PcmLayout) -> None:
        if self._warn is not None:
            channels = "mono" if layout.channels == 1 else f"{layout.channels} channels"
            read_as = f"raw {layout.encoding}, {layout.rate_hz} Hz, {channels}"
            options = "--encoding, --sample-rate, --channels"
            self._warn("no_header", f"{self._label} has no header: read as {read_as} ({options})")

    @property
    def _label(self) -> str:
        return "stdin" if self._info.name == "-" else self._info.name


class ThreadReader:
    """Reads a binary stream on a daemon thread, so that neither :meth:`stop` nor the program's exit waits for a read.

    Args:
        stream: The stream.
        on_stop: Called when it is stopped; must not block.
    """

    def __init__(self, stream: BinaryIO | RawIOBase, on_stop: Callable[[], None] = lambda: None) -> None:
        self._on_stop = on_stop
        self._read = _reader(stream)
        self._inbox: asyncio.Queue[bytes | OSError] = asyncio.Queue()
        self._permits = threading.Semaphore(_MAX_PENDING_READS)
        self._thread: threading.Thread | None = None
        self._stopped = False

    async def next(self) -> bytes:
        """Wait for the next bytes; empty at the end, and after :meth:`stop`. Safe to cancel.

        Raises:
            OSError: A read fails.
        """
        if self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._pump, args=(loop,), name="rt-pipe", daemon=True)
            self._thread.start()
        item = await self._inbox.get()
        self._permits.release()
        if isinstance(item, OSError):
            raise item
        return item

    def stop(self) -> None:
        """End the stream behind what is read already, and the thread once it has ended its read. Idempotent."""
        if not self._stopped:
            self._stopped = True
            self._on_stop()
            self._permits.release()
            self._inbox.put_nowait(b"")

    def _pump(self, loop: asyncio.AbstractEventLoop) -> None:
        """Thread: read, pass the data to the event loop, wait for the consumer."""
        item: bytes | OSError = b"."
        while item and isinstance(item, bytes):
            self._permits.acquire()
            if self._stopped:
                return
            try:
                item = self._read()
            except OSError as error:
                item = error
            try:
                loop.call_soon_threadsafe(self._inbox.put_nowait, item)
            except RuntimeError:
                return  # the event loop is closed


def _reader(stream: BinaryIO | RawIOBase) -> Callable[[], bytes]:
    """Return a function that blocks until data is available and returns the data; empty at the end."""
    try:
        stream.fileno()
    except OSError:  # io.UnsupportedOperation: a stream in memory
        return lambda: stream.read(_READ_BYTES) or b""
    # Read the descriptor, not Python's buffer: at exit the interpreter would wait for the lock of the buffer.
    return lambda: _read_descriptor(stream)


def _read_descriptor(stream: BinaryIO | RawIOBase) -> bytes:
    while True:
        try:
            # Call fileno() each time: after the stream is closed, its old number may belong to another file.
            return os.read(stream.fileno(), _READ_BYTES)
        except BlockingIOError:
            # Another program that shares the pipe has made it non-blocking.
            select.select([stream], [], [])
        except ValueError as error:
            raise OSError(errno.EBADF, "it was closed") from error
