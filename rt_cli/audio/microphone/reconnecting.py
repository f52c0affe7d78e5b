"""A microphone that may go away and come back: the timeline goes on without it, and no other one takes its place."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.channels import width
from rt_cli.audio.microphone.input_health import InputHealth
from rt_cli.audio.microphone.portaudio_stream import open_microphone
from rt_cli.audio.microphone.recorder_process import open_recorder
from rt_cli.audio.source import Block, Source
from rt_cli.clock import SystemClock
from rt_cli.errors import AudioError, RtError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.source import SourceInfo, Warn
    from rt_cli.clock import Clock

RETRY_FOR_S = 600.0
RETRY_EVERY_S = 1.0
FIRST_BLOCK_S = 5.0
"""How long a device that opens may take to its first sound before it counts as not back."""
WITHOUT_PORTAUDIO = {"no_portaudio", "portaudio_failed"}
"""Errors after which a program of the system may still record."""
TICK_S = 0.25
MARGIN_S = 0.25
"""The gap is told up to so long ago: the sound of a device that is just coming back began before we know of it."""


class TimedSource(Source, Protocol):
    """A microphone that knows when its sound was captured."""

    @property
    def began_at(self) -> float | None:
        """When the first sample was captured, seconds of the clock; None before there is one."""
        ...

    @property
    def last_at(self) -> float:
        """When the last sample so far was captured; before there is one, when the device was opened."""
        ...


class Gap:
    """How much of an outage has been told. Pure.

    Args:
        began_at: When the last sample before it was captured, seconds.
        rate_hz: Of the timeline.
    """

    def __init__(self, began_at: float, rate_hz: int) -> None:
        self._began_at = began_at
        self._rate_hz = rate_hz
        self._told = 0

    @property
    def seconds(self) -> float:
        """Told so far."""
        return self._told / self._rate_hz

    def until(self, at: float) -> Iterator[Block]:
        """The rest of the gap up to a moment; nothing where that has been told already."""
        samples = round((at - self._began_at) * self._rate_hz) - self._told
        if samples > 0:
            self._told += samples
            yield Block(b"", samples, "device_lost")


class ReconnectingMicrophone:
    """A :class:`~rt_cli.audio.source.Source` around a microphone, and around the same one when it is back.

    Args:
        first: Open.
        reopen: Opens the same device again, or raises an RtError while it is not there.
        rate_hz: Of the timeline.
        warn: Told ``device_lost``, ``device_back`` and what ``health`` finds.
        health: Shown all sound.
        clock: The one that the sources tell their times by.
        retry_for_s: How long one outage is waited out; 0 for not at all.
    """

    def __init__(
        self,
        first: TimedSource,
        reopen: Callable[[], Awaitable[TimedSource]],
        *,
        rate_hz: int,
        warn: Warn,
        health: InputHealth,
        clock: Clock,
        retry_for_s: float = RETRY_FOR_S,
    ) -> None:
        self._info = first.info
        self._device: TimedSource | None = first
        self._reopen = reopen
        self._rate_hz = rate_hz
        self._warn = warn
        self._health = health
        self._clock = clock
        self._retry_for_s = retry_for_s
        self._returning: asyncio.Task[TimedSource] | None = None
        self._stopped = asyncio.Event()
        self._stopped_at = 0.0

    @property
    def info(self) -> SourceInfo:
        """What was opened at first."""
        return self._info

    async def blocks(self) -> AsyncIterator[Block]:
        """The sound, in order, until :meth:`stop`; while the device is away, the gap as it grows. Read it once.

        Raises:
            AudioError: The device did not come back in time (``device_lost``), after the gap was yielded.

        Cancelling ends the iterator; :meth:`aclose` lets go of the device, or of the search for it.
        """
        device = self._device
        while device is not None:
            lost = None
            try:
                async for block in device.blocks():
                    self._inspect(block)
                    yield block
            except AudioError as error:
                if error.code != "device_lost" or self._retry_for_s <= 0:
                    raise
                lost = error
            if lost is None:
                break
            gap = Gap(device.last_at, self._rate_hz)
            device = None
            async for block in self._missing(gap, lost):
                yield block
            device = self._device
        self._say(self._health.end())

    def stop(self) -> None:
        """End capture: what was captured is still yielded, then the iterator ends. Idempotent, never blocks."""
        if not self._stopped.is_set():
            self._stopped_at = self._clock.now()
            self._stopped.set()
        if self._device is not None:
            self._device.stop()

    async def aclose(self) -> None:
        """Close the device, or end the search for it, within 2 s. Idempotent."""
        if self._returning is not None:
            self._returning.cancel()
            await asyncio.wait([self._returning])
            if not self._returning.cancelled() and self._returning.exception() is None:
                self._device = self._returning.result()
            self._returning = None
        if self._device is not None:
            await self._device.aclose()

    async def _missing(self, gap: Gap, lost: AudioError) -> AsyncIterator[Block]:
        """The gap, until the device is back or capture is stopped."""
        gone_at = self._clock.now()
        self._warn("device_lost", f'the microphone "{self._info.name}" is gone: waiting for it')
        away, self._device = self._device, None
        self._returning = returning = asyncio.create_task(self._bring_back(away, gone_at + self._retry_for_s, lost))
        while not (returning.done() or self._stopped.is_set()):
            for block in gap.until(self._clock.now() - MARGIN_S):
                yield block
            await self._tick(returning)
        if not returning.done():
            for block in gap.until(self._stopped_at):
                yield block
            return
        self._returning = None
        if returning.exception() is not None:
            for block in gap.until(self._clock.now()):
                yield block
        self._device = device = returning.result()
        if self._stopped.is_set():
            device.stop()
        for block in gap.until(device.last_at if device.began_at is None else device.began_at):
            yield block
        self._warn("device_back", f'the microphone "{self._info.name}" is back after {gap.seconds:.1f} s')

    async def _tick(self, returning: asyncio.Task[TimedSource]) -> None:
        """Wait a moment, less where there is news."""
        waits = [
            asyncio.ensure_future(self._clock.sleep_until(self._clock.now() + TICK_S)),
            asyncio.ensure_future(self._stopped.wait()),
        ]
        try:
            await asyncio.wait([*waits, returning], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _bring_back(self, away: TimedSource | None, deadline: float, lost: AudioError) -> TimedSource:
        """Open the device again and again, until its first sound.

        Raises:
            AudioError: At the deadline.
        """
        if away is not None:
            await away.aclose()
        while self._clock.now() < deadline:
            next_try = self._clock.now() + RETRY_EVERY_S
            device = await self._try()
            if device is not None:
                return device
            await self._clock.sleep_until(min(next_try, deadline))
        message = f'the microphone "{self._info.name}" did not come back within {self._retry_for_s:g} s'
        raise AudioError(message, lost.hint, code="device_lost") from lost

    async def _try(self) -> TimedSource | None:
        try:
            device = await self._reopen()
        except RtError:  # why, is of no use to anybody: it is not there
            return None
        if device.began_at is not None:
            return device
        await device.aclose()
        return None

    def _inspect(self, block: Block) -> None:
        self._say(self._health.take(block.pcm))

    def _say(self, warnings: list[tuple[str, str]]) -> None:
        for code, message in warnings:
            self._warn(code, message)


async def open_reconnecting(
    device: str | None,
    *,
    wire_rate_hz: int,
    chunk_ms: int = 40,
    warn: Warn,
    retry_for_s: float = RETRY_FOR_S,
    pick: Pick = "mix",
) -> ReconnectingMicrophone:
    """Open a microphone that is waited for when it goes away.

    Args:
        device: As :func:`rt_cli.audio.microphone.devices.select` takes it; None for the default of this moment.
        wire_rate_hz: Of the blocks it will yield.
        chunk_ms: How much the caller likes to send at once.
        warn: Told what happens to the microphone, and ``recorder`` where a program records for want of PortAudio.
        retry_for_s: How long one outage is waited out.
        pick: Which channels are heard; of ``split`` the blocks hold two, interleaved.

    Raises:
        UsageError: Several devices are meant.
        AudioError: Neither PortAudio nor a recording program, no such device, or it cannot be opened.

    Safe to cancel: the device is closed again.
    """
    first, again = await _open_first(device, wire_rate_hz=wire_rate_hz, chunk_ms=chunk_ms, warn=warn, pick=pick)
    return ReconnectingMicrophone(
        first,
        again,
        rate_hz=wire_rate_hz,
        warn=warn,
        health=InputHealth(wire_rate_hz * width(pick)),
        clock=SystemClock(),
        retry_for_s=retry_for_s,
    )


async def _open_first(
    device: str | None, *, wire_rate_hz: int, chunk_ms: int, warn: Warn, pick: Pick
) -> tuple[TimedSource, Callable[[], Awaitable[TimedSource]]]:
    """The microphone, and what opens the same one again: by PortAudio, or by a program where that is not to be had."""
    opened = partial(open_microphone, wire_rate_hz=wire_rate_hz, chunk_ms=chunk_ms, pick=pick)
    try:
        first = await opened(device)
        return first, partial(opened, first.identity, first_block_s=FIRST_BLOCK_S)
    except AudioError as error:
        if error.code not in WITHOUT_PORTAUDIO:
            raise
        missing = error
    try:
        recorded, recorder, again = await open_recorder(device, wire_rate_hz=wire_rate_hz, chunk_ms=chunk_ms, pick=pick)
    except AudioError as error:
        if error.code == "no_such_device":
            raise
        message = f"{missing.message}; {error.message}"
        raise AudioError(message, missing.hint, code=missing.code) from missing
    warn("recorder", f"{missing.message}: recording with {recorder.program} ({missing.hint})")
    return recorded, partial(again, FIRST_BLOCK_S)
