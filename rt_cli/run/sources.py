"""The sources of a command, each opened only when its job starts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.audio.channels import parse_pick
from rt_cli.audio.decode.streamed.web import is_url, open_url, shown_url
from rt_cli.audio.gain import amplified
from rt_cli.audio.start import started
from rt_cli.errors import AudioError
from rt_cli.settings import auto

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import BinaryIO

    from rt_cli.audio.decode.pipe import ByteReader
    from rt_cli.audio.source import Source, Warn
    from rt_cli.settings import InputSettings
    from rt_cli.timeline.journal import SpoolContents
    from rt_cli.timeline.spool import Spool


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A source that is not open yet."""

    name: str
    open: Callable[[int, Warn], Awaitable[Source]]
    """Opens the source. Arguments: the wire rate in Hz, and the function that receives its warnings."""
    spool: Path | None = None
    """Folder that keeps the sound until it is delivered."""
    resume: tuple[Spool, SpoolContents] | None = None
    """The spool of an earlier run, if this source continues one."""


def file_source(name: str, settings: InputSettings, spool: Path | None = None) -> NamedSource:
    """Return a file as a source, what is behind an http(s) URL, or stdin (``-``); each with back-pressure."""
    if name == "-":
        return _stream(_stdin, "-", settings, spool, live=False)
    if is_url(name):
        return _web_source(name, settings, spool)

    async def open_source(rate_hz: int, warn: Warn) -> Source:
        from rt_cli.audio.decode.files import open_file

        loop = asyncio.get_running_loop()

        def warn_soon(code: str, message: str) -> None:
            loop.call_soon_threadsafe(warn, code, message)

        pick = parse_pick(settings.channel)
        file = await asyncio.to_thread(open_file, name, wire_rate_hz=rate_hz, warn=warn_soon, pick=pick)
        return amplified(started(file, settings.start_s, rate_hz, pick), settings.gain, warn)

    return NamedSource(name, open_source, spool)


def live_source(settings: InputSettings, spool: Path | None = None) -> NamedSource:
    """Return stdin as a live source, read without back-pressure."""
    return _stream(_stdin, "-", settings, spool, live=True)


def microphone_source(
    settings: InputSettings, spool: Path | None = None, *, retry_for_s: float | None = None
) -> NamedSource:
    """Return the microphone as a source, which reconnects after the device vanishes."""

    async def open_source(rate_hz: int, warn: Warn) -> Source:
        from rt_cli.audio.microphone.reconnecting import open_reconnecting

        microphone = await open_reconnecting(
            settings.device,
            wire_rate_hz=rate_hz,
            chunk_ms=40 if settings.chunk_ms is None else settings.chunk_ms,
            warn=warn,
            retry_for_s=auto.retry_for_s(retry_for_s, live=True),
            pick=parse_pick(settings.channel),
        )
        return amplified(microphone, settings.gain, warn)

    return NamedSource("microphone", open_source, spool)


def resumed_source(folder: Path) -> NamedSource:
    """Return the undelivered sound of an earlier run as a source.

    Raises:
        UsageError: The folder holds no spool, or another process uses it.
    """
    from rt_cli.timeline.spool import Spool

    spool, contents = Spool.reopen(folder)

    async def open_source(rate_hz: int, _warn: Warn) -> Source:
        from rt_cli.timeline.resumed_source import open_resumed

        return await open_resumed(spool, contents, rate_hz)

    return NamedSource(contents.origin.source, open_source, resume=(spool, contents))


def chunk_source(chunks: BinaryIO | AsyncIterable[bytes], settings: InputSettings, *, live: bool) -> NamedSource:
    """Return bytes of a program as a source: raw PCM in the layout of the settings, WAV, Wave64 or AU.

    Args:
        chunks: A binary stream, read on a thread and not closed; or an asynchronous iterable.
        settings: Layout and channel.
        live: Whether the bytes are taken as fast as they come.
    """

    async def make_stream() -> BinaryIO | ByteReader:
        from rt_cli.audio.decode.chunks import ChunkReader

        return ChunkReader(chunks) if isinstance(chunks, AsyncIterable) else chunks

    return _stream(make_stream, "chunks", settings, live=live)


def _stream(
    make_stream: Callable[[], Awaitable[BinaryIO | ByteReader]],
    name: str,
    settings: InputSettings,
    spool: Path | None = None,
    *,
    live: bool,
) -> NamedSource:
    async def open_source(rate_hz: int, warn: Warn) -> Source:
        from rt_cli.audio.decode.pipe import open_pipe
        from rt_cli.audio.decode.streamed.container import has_libav

        pick = parse_pick(settings.channel)
        stream = open_pipe(
            await make_stream(),
            wire_rate_hz=rate_hz,
            encoding=settings.encoding,
            sample_rate=auto.RAW_RATE_HZ if settings.sample_rate is None else settings.sample_rate,
            channels=auto.RAW_CHANNELS if settings.channels is None else settings.channels,
            live=live,
            name=name,
            warn=warn,
            pick=pick,
            assumed=name == "-" and (settings.encoding, settings.sample_rate, settings.channels) == (None, None, None),
        )
        if not has_libav():
            try:
                await stream.check()
            except BaseException:
                await stream.aclose()
                raise
        begun = stream if live else started(stream, settings.start_s, rate_hz, pick)
        return amplified(begun, settings.gain, warn)

    return NamedSource(name, open_source, spool)


def _web_source(url: str, settings: InputSettings, spool: Path | None) -> NamedSource:
    async def make_stream() -> BinaryIO | ByteReader:
        from rt_cli.audio.decode.pipe import ThreadReader

        stream = await asyncio.to_thread(open_url, url)
        return ThreadReader(stream, on_stop=stream.end)

    return _stream(make_stream, shown_url(url), settings, spool, live=False)


async def _stdin() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise AudioError("stdin is closed", "pipe sound into it", code="no_stdin")
    if sys.stdin.isatty():
        raise AudioError("stdin is a terminal, not sound", "pipe sound into it", code="no_stdin")
    return sys.stdin.buffer
