"""A microphone that may be unplugged and come back. The timeline goes on; no other device takes its place."""

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
from rt_cli.settings.auto import RETRY_LIVE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.source import SourceInfo, Warn
    from rt_cli.clock import Clock

RETRY_EVERY_S = 1.0
FIRST_BLOCK_S = 5.0
"""Longest wait for the first audio of a reopened device; after that the attempt has failed."""
WITHOUT_PORTAUDIO = {"no_portaudio", "portaudio_failed", "no_microphone"}
"""Error codes after which a recording program of the system is tried. PortAudio lists no microphone where ALSA has
neither a card nor a way to the sound server: WSLg, containers."""
TICK_S = 0.25
MARGIN_S = 0.25
"""While the device is away, the gap is reported up to this time ago. The audio of a returning device starts before its
opening is known."""


class TimedSource(Source, Protocol):
    """A microphone with the capture times of its audio."""

    @property
    def began_at(self) -> float | None:
        """Capture time of the first sample, seconds of the clock; None before the first."""
        ...

    @property
    def last_at(self) -> float:
        """Capture time of the latest sample; before the first one, the time of opening."""
        ...

    @property
    def overflows(self) -> int:
        """Number of overflows whose length the driver does not know."""
        ...


class Gap:
    """The length of an outage that has been reported so far. Pure.

    Args:
        began_at: Capture time of the last sample before the outage, seconds.
        rate_hz: Rate of the timeline.
    """

    def __init__(self, began_at: float, rate_hz: int) -> None:
        self._began_at = began_at
        self._rate_hz = rate_hz
        self._reported_samples = 0

    @property
    def seconds(self) -> float:
        """Length reported so far."""
        return self._reported_samples / self._rate_hz

    def until(self, at: float) -> Iterator[Block]:
        """Yield the unreported part of the gap up to the time ``at``, if there is one."""
        samples = round((at - self._began_at) * self._rate_hz) - self._reported_samples
        if samples > 0:
            self._reported_samples += samples
            yield Block(b"", samples, "device_lost")


class ReconnectingMicrophone:
    """A :class:`~rt_cli.audio.source.Source` around a microphone that reopens the same device after a loss.

    Args:
        first: The open microphone.
        reopen: Opens the same device again; raises an RtError while the device is missing.
        rate_hz: Rate of the timeline.
        warn: Called with ``device_lost``, ``device_back``, ``overflow`` and the warnings of ``health``.
        health: Checks all audio.
        clock: The clock of the capture times.
        retry_for_s: Longest outage to wait for; 0 disables reopening.
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
        retry_for_s: float = RETRY_LIVE_S,
    ) -> None:
        self._info = first.info
        self._device: TimedSource | None = first
        self._reopen = reopen
        self._rate_hz = rate_hz
        self._warn = warn
        self._health = health
        self._clock = clock
        self._retry_for_s = retry_for_s
        self._reopen_task: asyncio.Task[TimedSource] | None = None
        self._stopped = asyncio.Event()
        self._stopped_at = 0.0

    @property
    def info(self) -> SourceInfo:
        """Properties of the first opened device."""
        return self._info

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the audio in order until :meth:`stop`, and during an outage the growing gap. Iterate once.

        Cancelling ends the iterator; :meth:`aclose` closes the device or ends the search for it.

        Raises:
            AudioError: The device did not come back in time (``device_lost``). The gap has been yielded.
        """
        device = self._device
        while device is not None:
            lost = None
            overflows = 0
            try:
                async for block in device.blocks():
                    overflows = self._report_overflow(device, overflows)
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
            async for block in self._outage(gap, lost):
                yield block
            device = self._device
        self._emit(self._health.end())

    def stop(self) -> None:
        """Stop capture: the iterator yields the captured audio, then ends. Idempotent, never blocks."""
        if not self._stopped.is_set():
            self._stopped_at = self._clock.now()
            self._stopped.set()
        if self._device is not None:
            self._device.stop()

    async def aclose(self) -> None:
        """Close the device or end the search for it, within 2 s. Idempotent."""
        if self._reopen_task is not None:
            self._reopen_task.cancel()
            await asyncio.wait([self._reopen_task])
            if not self._reopen_task.cancelled() and self._reopen_task.exception() is None:
                self._device = self._reopen_task.result()
            self._reopen_task = None
        if self._device is not None:
            await self._device.aclose()

    async def _outage(self, gap: Gap, lost: AudioError) -> AsyncIterator[Block]:
        """Yield the growing gap until the device is back or capture is stopped."""
        lost_at = self._clock.now()
        self._warn("device_lost", f'the microphone "{self._info.name}" is gone: waiting for it')
        previous, self._device = self._device, None
        self._reopen_task = task = asyncio.create_task(self._reopen_until(previous, lost_at + self._retry_for_s, lost))
        while not (task.done() or self._stopped.is_set()):
            for block in gap.until(self._clock.now() - MARGIN_S):
                yield block
            await self._tick(task)
        if not task.done():
            for block in gap.until(self._stopped_at):
                yield block
            return
        self._reopen_task = None
        if task.exception() is not None:
            for block in gap.until(self._clock.now()):
                yield block
        self._device = device = task.result()
        if self._stopped.is_set():
            device.stop()
        for block in gap.until(device.last_at if device.began_at is None else device.began_at):
            yield block
        self._warn("device_back", f'the microphone "{self._info.name}" is back after {gap.seconds:.1f} s')

    async def _tick(self, task: asyncio.Task[TimedSource]) -> None:
        """Wait for one tick, or until the search or the capture ends."""
        waits = [
            asyncio.ensure_future(self._clock.sleep_until(self._clock.now() + TICK_S)),
            asyncio.ensure_future(self._stopped.wait()),
        ]
        try:
            await asyncio.wait([*waits, task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _reopen_until(self, previous: TimedSource | None, deadline: float, lost: AudioError) -> TimedSource:
        """Try to reopen the device until it delivers audio.

        Raises:
            AudioError: The deadline has passed (``device_lost``).
        """
        if previous is not None:
            await previous.aclose()
        while self._clock.now() < deadline:
            next_try = self._clock.now() + RETRY_EVERY_S
            device = await self._try_reopen()
            if device is not None:
                return device
            await self._clock.sleep_until(min(next_try, deadline))
        message = f'the microphone "{self._info.name}" did not come back within {self._retry_for_s:g} s'
        raise AudioError(message, lost.hint, code="device_lost") from lost

    async def _try_reopen(self) -> TimedSource | None:
        try:
            device = await self._reopen()
        except RtError:  # any error means that the device is not back yet
            return None
        if device.began_at is not None:
            return device
        await device.aclose()
        return None

    def _report_overflow(self, device: TimedSource, reported: int) -> int:
        """Report overflows of unknown length, and return their number so far."""
        if device.overflows > reported:
            message = "the computer was too busy, and the driver does not say how much is missing"
            self._warn("overflow", f'the microphone "{self._info.name}" lost sound: {message}')
        return device.overflows

    def _inspect(self, block: Block) -> None:
        self._emit(self._health.take(block.pcm))

    def _emit(self, warnings: list[tuple[str, str]]) -> None:
        for code, message in warnings:
            self._warn(code, message)


async def open_reconnecting(
    device: str | None,
    *,
    wire_rate_hz: int,
    chunk_ms: int = 40,
    warn: Warn,
    retry_for_s: float = RETRY_LIVE_S,
    pick: Pick = "mix",
) -> ReconnectingMicrophone:
    """Open a microphone that is reopened after a loss. Safe to cancel: the device is closed again.

    Args:
        device: Query for :func:`rt_cli.audio.microphone.devices.select`; None for the current default.
        wire_rate_hz: Rate of the blocks.
        chunk_ms: Preferred length of a sent chunk.
        warn: Called with the warnings of the microphone, and with ``recorder`` if a recording program is used because
            PortAudio is missing or lists no microphone.
        retry_for_s: Longest outage to wait for.
        pick: The channels to use; for ``split`` the blocks hold two interleaved channels.

    Raises:
        UsageError: Several devices match.
        AudioError: There is neither PortAudio nor a recording program, no device matches, or the device cannot be
            opened.
    """
    first, reopen = await _open_first(device, wire_rate_hz=wire_rate_hz, chunk_ms=chunk_ms, warn=warn, pick=pick)
    return ReconnectingMicrophone(
        first,
        reopen,
        rate_hz=wire_rate_hz,
        warn=warn,
        health=InputHealth(wire_rate_hz * width(pick), name=f'"{first.info.name}"'),
        clock=SystemClock(),
        retry_for_s=retry_for_s,
    )


async def _open_first(
    device: str | None, *, wire_rate_hz: int, chunk_ms: int, warn: Warn, pick: Pick
) -> tuple[TimedSource, Callable[[], Awaitable[TimedSource]]]:
    """Open the microphone by PortAudio, or else by a recording program. Returns it and a function that reopens it."""
    open_device = partial(open_microphone, wire_rate_hz=wire_rate_hz, chunk_ms=chunk_ms, pick=pick)
    try:
        first = await open_device(device)
        return first, partial(open_device, first.identity, first_block_s=FIRST_BLOCK_S)
    except AudioError as error:
        if error.code not in WITHOUT_PORTAUDIO:
            raise
        portaudio_error = error
    try:
        source, recorder, reopen = await open_recorder(device, wire_rate_hz=wire_rate_hz, chunk_ms=chunk_ms, pick=pick)
    except AudioError as error:
        if error.code == "no_such_device":
            raise
        message = f"{portaudio_error.message}; {error.message}"
        raise AudioError(message, portaudio_error.hint, code=portaudio_error.code) from portaudio_error
    warn("recorder", f"{portaudio_error.message}: recording with {recorder.program} ({portaudio_error.hint})")
    return source, partial(reopen, FIRST_BLOCK_S)
