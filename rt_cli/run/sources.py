"""The sources that a command names, to be opened when their turn comes."""

from __future__ import annotations

import asyncio
import sys
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
    from rt_cli.timeline.spool import Spool, SpoolContents


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A source that is not open yet."""

    name: str
    open: Callable[[int, Warn], Awaitable[Source]]
    """At a wire rate, Hz; its warnings go to the second argument."""
    spool: Path | None = None
    """Where to keep its sound until it is delivered."""
    resume: tuple[Spool, SpoolContents] | None = None
    """It is what an earlier run left."""


def file_source(name: str, settings: InputSettings, spool: Path | None = None) -> NamedSource:
    """A file, or stdin (``-``) with back-pressure to its producer."""
    if name == "-":
        return _pipe(settings, spool, live=False)

    async def opened(rate_hz: int, warn: Warn) -> Source:
        from rt_cli.audio.decode.files import open_file

        loop = asyncio.get_running_loop()

        def tell_soon(code: str, message: str) -> None:
            loop.call_soon_threadsafe(warn, code, message)

        pick = parse_pick(settings.channel)
        file = await asyncio.to_thread(open_file, name, wire_rate_hz=rate_hz, warn=tell_soon, pick=pick)
        return amplified(file, settings.gain, warn)

    return NamedSource(name, opened, spool)


def live_source(settings: InputSettings, spool: Path | None = None) -> NamedSource:
    """Stdin, always read."""
    return _pipe(settings, spool, live=True)


def microphone_source(
    settings: InputSettings, spool: Path | None = None, *, retry_for_s: float | None = None
) -> NamedSource:
    """The microphone; it is waited for when it goes away."""

    async def opened(rate_hz: int, warn: Warn) -> Source:
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

    return NamedSource("microphone", opened, spool)


def resumed_source(folder: Path) -> NamedSource:
    """What an earlier run captured and did not deliver.

    Raises:
        UsageError: There is nothing in the folder, or another process has it.
    """
    from rt_cli.timeline.spool import Spool

    spool, contents = Spool.reopen(folder)

    async def opened(rate_hz: int, _warn: Warn) -> Source:
        from rt_cli.timeline.resumed_source import open_resumed

        return await open_resumed(spool, contents, rate_hz)

    return NamedSource(contents.origin.source, opened, resume=(spool, contents))


def _pipe(settings: InputSettings, spool: Path | None, *, live: bool) -> NamedSource:
    async def opened(rate_hz: int, warn: Warn) -> Source:
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

    return NamedSource("-", opened, spool)


def _stdin() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise AudioError("stdin is closed", "pipe sound into it", code="no_stdin")
    if sys.stdin.isatty():
        raise AudioError("stdin is a terminal, not sound", "pipe sound into it", code="no_stdin")
    return sys.stdin.buffer
