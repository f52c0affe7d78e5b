"""The sources of a command, each opened only when its job starts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.audio.channels import parse_pick
from rt_cli.audio.gain import amplified
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import BinaryIO

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
    """Return a file as a source, or stdin (``-``) with back-pressure to its producer."""
    if name == "-":
        return _pipe(settings, spool, live=False)

    async def open_source(rate_hz: int, warn: Warn) -> Source:
        from rt_cli.audio.decode.files import open_file

        loop = asyncio.get_running_loop()

        def warn_soon(code: str, message: str) -> None:
            loop.call_soon_threadsafe(warn, code, message)

        pick = parse_pick(settings.channel)
        file = await asyncio.to_thread(open_file, name, wire_rate_hz=rate_hz, warn=warn_soon, pick=pick)
        return amplified(file, settings.gain, warn)

    return NamedSource(name, open_source, spool)


def live_source(settings: InputSettings, spool: Path | None = None) -> NamedSource:
    """Return stdin as a live source, read without back-pressure."""
    return _pipe(settings, spool, live=True)


def microphone_source(
    settings: InputSettings, spool: Path | None = None, *, retry_for_s: float | None = None
) -> NamedSource:
    """Return the microphone as a source, which reconnects after the device vanishes."""

    async def open_source(rate_hz: int, warn: Warn) -> Source:
        from rt_cli.audio.microphone.reconnecting import RETRY_FOR_S, open_reconnecting

        microphone = await open_reconnecting(
            settings.device,
            wire_rate_hz=rate_hz,
            chunk_ms=40 if settings.chunk_ms is None else settings.chunk_ms,
            warn=warn,
            retry_for_s=RETRY_FOR_S if retry_for_s is None else retry_for_s,
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
    """Return bytes of a program as a source: raw PCM in the layout of the settings, or a WAV stream.

    Args:
        chunks: A binary stream, read on a thread and not closed; or an asynchronous iterable.
        settings: Layout and channel.
        live: Whether the bytes are taken as fast as they come.
    """

    async def open_source(rate_hz: int, warn: Warn) -> Source:
        from rt_cli.audio.decode.chunks import ChunkSource
        from rt_cli.audio.decode.pipe import PipeSource
        from rt_cli.audio.pcm import PcmLayout

        layout, pick = (
            PcmLayout(settings.encoding, settings.sample_rate, settings.channels),
            parse_pick(settings.channel),
        )
        source = (
            ChunkSource(chunks, layout, rate_hz, live=live, pick=pick)
            if isinstance(chunks, AsyncIterable)
            else PipeSource(chunks, layout, rate_hz, live=live, name="chunks", pick=pick)
        )
        return amplified(source, settings.gain, warn)

    return NamedSource("chunks", open_source)


def _pipe(settings: InputSettings, spool: Path | None, *, live: bool) -> NamedSource:
    async def open_source(rate_hz: int, warn: Warn) -> Source:
        from rt_cli.audio.decode.pipe import open_pipe

        pipe = open_pipe(
            _stdin(),
            wire_rate_hz=rate_hz,
            encoding=settings.encoding,
            sample_rate=settings.sample_rate,
            channels=settings.channels,
            live=live,
            pick=parse_pick(settings.channel),
        )
        return amplified(pipe, settings.gain, warn)

    return NamedSource("-", open_source, spool)


def _stdin() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise AudioError("stdin is closed", "pipe sound into it", code="no_stdin")
    if sys.stdin.isatty():
        raise AudioError("stdin is a terminal, not sound", "pipe sound into it", code="no_stdin")
    return sys.stdin.buffer
