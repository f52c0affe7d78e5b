"""The microphone: PortAudio's thread copies into a ring, everything else happens on our side of it.

Sound is captured from before :func:`open_microphone` returns; the ring keeps ten seconds of it until it is read.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rt_cli.audio.channels import check, needed
from rt_cli.audio.microphone.call_in_thread import call_in_thread
from rt_cli.audio.microphone.convert import WireConverter
from rt_cli.audio.microphone.devices import (
    Identity,
    do_not_wait_at_exit,
    identify,
    input_devices,
    load_sounddevice,
    look_again,
    recognise,
    select,
)
from rt_cli.audio.microphone.native_stderr import log_noise, off_stderr
from rt_cli.audio.microphone.overflow import AdcClock
from rt_cli.audio.microphone.pulse import DefaultSource, watch_moves
from rt_cli.audio.microphone.ring import Ring
from rt_cli.audio.source import SourceInfo
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.microphone.devices import InputDevice
    from rt_cli.audio.source import Block

DTYPE = "float32"
"""What the converter gives is passed on unclipped and undithered; the resampler wants floats anyway."""
BYTES_PER_VALUE = 4
RING_S = 10
READ_S = 0.5
"""Most that is resampled in one go, so that ten seconds of backlog do not hold up the event loop."""
OPEN_DEADLINE_S = 10.0
FIRST_BLOCK_S = 2.0
"""How long opening waits for sound before it leaves the matter to the watchdog."""
FIRST_PATIENCE_S = 5.0
GRACE_S = 0.25
"""A machine that was suspended, or a process that was stopped, finds its timers expired before any callback ran."""
CLOSE_DEADLINE_S = 2.0
LONGEST_LINGER_S = 0.5
TURN_S = 1.0
"""How long a thread waits for another one that is inside PortAudio, which may be for ever."""

_inside_portaudio = threading.Lock()
_open_streams: set[Any] = set()
"""Searching for devices anew would pull the memory from under them."""


class DeviceBuffer:
    """What PortAudio's thread may touch.

    Args:
        loop: Woken for what it has not been woken for yet; may be closed at any time.
        rate_hz: Frames per second.
        channels: Values per frame.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, rate_hz: int, channels: int) -> None:
        self.frame_bytes = channels * BYTES_PER_VALUE
        self.ring = Ring(RING_S * rate_hz * self.frame_bytes)
        self.heard = asyncio.Event()
        self.blocks = 0
        self.overflows = 0
        self.finished = False
        self.closed = False
        self.began_at: float | None = None
        """When the first frame was taken, and the last one so far: seconds of the monotonic clock, to the block."""
        self.last_at = time.monotonic()
        self._loop = loop
        self._rate_hz = rate_hz
        self._adc = AdcClock(rate_hz)
        self._waking = False

    def callback(self, data: Any, frames: int, times: Any, status: Any) -> None:
        """Copy one block; called by PortAudio in its thread."""
        if self.closed:
            return
        overflowed = bool(status) and status.input_overflow
        lost = self._adc.lost(times.inputBufferAdcTime, frames, overflowed=overflowed)
        if lost is None:
            self.overflows += 1
        elif lost:
            self.ring.lose(lost * self.frame_bytes)
        self.take(memoryview(data), frames)

    def take(self, data: memoryview, frames: int) -> None:
        """Keep a block, and wake the reader if it is not being woken; called in the thread that captures."""
        self.ring.write(data)
        self.blocks += 1
        self.last_at = now = time.monotonic()
        if self.began_at is None:
            self.began_at = now - frames / self._rate_hz
        if not self._waking:
            self._waking = True
            self.wake()

    def awake(self) -> None:
        """The reader is about to look: what is kept from now on needs another wake-up. Called before it reads."""
        self._waking = False
        self.heard.clear()

    def on_finished(self) -> None:
        """The stream ended, by our doing or the device's; called by PortAudio in its thread."""
        self.finished = True
        self.wake()

    def cut(self) -> None:
        """Take no more: what comes now is not from our device."""
        self.closed = True
        self.on_finished()

    def wake(self) -> None:
        """Tell the reader, from any thread."""
        # A loop that was closed in the meantime has no reader either.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.heard.set)


class Microphone:
    """An open microphone; a :class:`~rt_cli.audio.source.Source`. Made by :func:`open_microphone`.

    Args:
        info: What was opened.
        stream: The running ``sounddevice.RawInputStream``, or what is closed like one.
        capture: Where its callback writes.
        converter: From the device's format to the wire's.
        block_s: Seconds between two callbacks.
        identity: What to recognise the device by.
    """

    def __init__(
        self,
        info: SourceInfo,
        stream: Any,
        capture: DeviceBuffer,
        converter: WireConverter,
        block_s: float,
        identity: Identity,
    ) -> None:
        self.identity = identity
        self._info = info
        self._stream = stream
        self._capture = capture
        self._converter = converter
        self._patience_s = max(1.0, 5 * block_s)
        self._linger_s = min(stream.latency + block_s, LONGEST_LINGER_S)
        self._stopped_at: float | None = None
        self._closing = False
        self._watching: asyncio.Task[None] | None = None

    @property
    def info(self) -> SourceInfo:
        """What was opened."""
        return self._info

    @property
    def overflows(self) -> int:
        """How often the driver reported lost sound without a length that could be told; no hole is made for these."""
        return self._capture.overflows

    @property
    def began_at(self) -> float | None:
        """When the first sample was captured, on the monotonic clock, to the block; None before there is one."""
        return self._capture.began_at

    @property
    def last_at(self) -> float:
        """When the last sample so far was captured; before there is one, when the device was opened."""
        return self._capture.last_at

    async def blocks(self) -> AsyncIterator[Block]:
        """The sound, in order, until :meth:`stop`. Read it once.

        Raises:
            AudioError: The device stopped calling (``device_lost``), after everything that it delivered was yielded.

        Cancelling ends the iterator; the device stays open until :meth:`aclose`.
        """
        capture = self._capture
        lost = False
        while not (lost or self._over()):
            capture.awake()
            for block in self._waiting():
                yield block
                await asyncio.sleep(0)
            lost = not await self._still_there()
        capture.closed = True
        for block in self._waiting():
            yield block
            await asyncio.sleep(0)
        for block in self._converter.flush():
            yield block
        if lost:
            log_noise()
            hint = "reconnect it, or choose another with --device"
            raise AudioError(f'the microphone "{self._info.name}" stopped sending', hint, code="device_lost")

    def stop(self) -> None:
        """End capture: what was said until now is still yielded, then the iterator ends. Idempotent, never blocks.

        What was said a moment ago is still on its way through the driver; the end waits for its latency, 0.5 s at most.
        """
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._capture.heard.set()

    def watch_server(self, process_id: int | None = None, source: int | None = None) -> None:
        """Count the device as lost when a sound server puts another one in its place; until :meth:`aclose`.

        Args:
            process_id: Who records; None: this process.
            source: The server's number of what it records from; None: where it is found first.
        """
        self._watching = asyncio.create_task(watch_moves(self._capture.cut, process_id, source))

    async def aclose(self) -> None:
        """Close the device, within 2 s: a driver that hangs longer is left behind. Idempotent."""
        if self._closing:
            return
        self._closing = True
        self._capture.closed = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        with off_stderr():
            try:
                await call_in_thread(self._close, deadline_s=CLOSE_DEADLINE_S)
            except TimeoutError:
                do_not_wait_at_exit()

    def _close(self) -> None:
        with _inside_portaudio:
            # Abort, not stop: stop waits for the driver to play out what it holds, and may never come back.
            self._stream.abort(ignore_errors=True)
            self._stream.close(ignore_errors=True)
            _open_streams.discard(self._stream)

    def _over(self) -> bool:
        return self._stopped_at is not None and time.monotonic() >= self._stopped_at + self._linger_s

    def _waiting(self) -> Iterator[Block]:
        capture = self._capture
        limit = round(READ_S * self._info.rate_hz) * capture.frame_bytes
        while True:
            lost, data = capture.ring.read(limit)
            if not lost and not data:
                return
            yield from self._converter.convert(lost // capture.frame_bytes, data)

    async def _still_there(self) -> bool:
        """Wait for the next wake-up, or the end of the lingering; False where the device is gone."""
        capture = self._capture
        if self._stopped_at is not None:
            await _wait(capture.heard, self._stopped_at + self._linger_s - time.monotonic())
            return True
        if capture.finished:
            return False
        patience = self._patience_s if capture.blocks else FIRST_PATIENCE_S
        return await _wait(capture.heard, patience) or await _wait(capture.heard, GRACE_S)


async def open_microphone(
    device: str | Identity | None,
    *,
    wire_rate_hz: int,
    chunk_ms: int = 40,
    first_block_s: float = FIRST_BLOCK_S,
    pick: Pick = "mix",
) -> Microphone:
    """Open a microphone and start capturing.

    Args:
        device: As :func:`rt_cli.audio.microphone.devices.select` takes it; None for the default. An
            identity is the device that was open before: it is searched for anew, which is only possible while no
            microphone is open.
        wire_rate_hz: Of the blocks it will yield.
        chunk_ms: How much the caller likes to send at once; the device delivers in blocks of this, within 10..100 ms.
        first_block_s: How long to wait for sound.
        pick: Which channels are heard; of ``split`` the blocks hold two, interleaved.

    Returns:
        A microphone from which sound has arrived; where none does in time, one that may still begin.

    Raises:
        UsageError: Several devices are meant.
        AudioError: No PortAudio, no such device, not enough channels, or it cannot be opened.

    Safe to cancel: the device is closed again.
    """
    loop = asyncio.get_running_loop()
    block_s = min(max(chunk_ms, 10), 100) / 1000
    with off_stderr():
        try:
            microphone = await call_in_thread(
                lambda: _open(loop, device, wire_rate_hz, block_s, pick),
                deadline_s=OPEN_DEADLINE_S,
                discard=lambda late: late._close(),  # noqa: SLF001  # nobody else can close it any more
            )
        except TimeoutError as error:
            do_not_wait_at_exit()
            message = f"the microphone did not open within {OPEN_DEADLINE_S:.0f} s"
            raise AudioError(message, "is the sound server alive?", code="device_timeout") from error
    try:
        await _wait(microphone._capture.heard, first_block_s)  # noqa: SLF001  # opening is a part of the class
    except asyncio.CancelledError:
        await microphone.aclose()
        raise
    if sys.platform == "linux":
        microphone.watch_server()
    return microphone


def _open(
    loop: asyncio.AbstractEventLoop, device: str | Identity | None, wire_rate_hz: int, block_s: float, pick: Pick
) -> Microphone:
    if not _inside_portaudio.acquire(timeout=TURN_S):
        raise AudioError("the sound system does not answer", "is the sound server alive?", code="device_timeout")
    try:
        return _open_alone(loop, *_choose(device), wire_rate_hz, block_s, pick)
    finally:
        _inside_portaudio.release()


def _choose(device: str | Identity | None) -> tuple[InputDevice, Identity]:
    if not isinstance(device, Identity):
        with DefaultSource() as source:
            devices = input_devices()
            chosen = select(devices, device)
            source.pin()
        return chosen, identify(devices, chosen)
    if _open_streams:
        raise AudioError("a microphone is still open", "wait until it is closed", code="device_unavailable")
    look_again()
    return recognise(input_devices(), device), device


def _open_alone(
    loop: asyncio.AbstractEventLoop,
    chosen: InputDevice,
    identity: Identity,
    wire_rate_hz: int,
    block_s: float,
    pick: Pick,
) -> Microphone:
    check(chosen.channels, pick, f'the microphone "{chosen.full_name}" ')
    sounddevice = load_sounddevice()
    refusals: list[Exception] = []
    for rate_hz, channels in attempts(chosen, needed(pick)):
        capture = DeviceBuffer(loop, rate_hz, channels)
        try:
            stream = _start(sounddevice, chosen, capture, rate_hz, channels, block_s)
        except sounddevice.PortAudioError as error:
            refusals.append(error)
            continue
        _open_streams.add(stream)
        info = SourceInfo(chosen.name, "microphone", live=True, rate_hz=rate_hz, channels=channels)
        # Last, because it imports numpy: by now sound is being captured.
        converter = WireConverter(rate_hz, channels, wire_rate_hz, pick)
        return Microphone(info, stream, capture, converter, block_s, identity)
    message = f'the microphone "{chosen.full_name}" cannot be opened ({refusals[0]})'
    raise AudioError(message, "is it in use, or not permitted?", code="device_unavailable") from refusals[0]


def _start(
    sounddevice: Any, device: InputDevice, capture: DeviceBuffer, rate_hz: int, channels: int, block_s: float
) -> Any:
    stream = sounddevice.RawInputStream(
        device=device.index,
        samplerate=rate_hz,
        channels=channels,
        dtype=DTYPE,
        blocksize=round(block_s * rate_hz),
        # Three blocks of buffer: a busy interpreter may be late by two of them and nothing is lost.
        latency=max(0.1, 3 * block_s),
        extra_settings=_extra_settings(sounddevice, device),
        callback=capture.callback,
        finished_callback=capture.on_finished,
    )
    try:
        stream.start()
    except sounddevice.PortAudioError:
        stream.close(ignore_errors=True)
        raise
    return stream


def attempts(device: InputDevice, needed: int = 1) -> list[tuple[int, int]]:
    """Rates and channel counts to try, in order: the device's own first, no more channels than two, or as needed."""
    rates = dict.fromkeys((device.rate_hz, 48_000, 44_100, 16_000))
    counts = dict.fromkeys(max(count, needed) for count in (min(device.channels, 2), 1))
    return [(rate_hz, channels) for rate_hz in rates for channels in counts]


def _extra_settings(sounddevice: Any, device: InputDevice) -> Any:
    if device.hostapi == "Windows WASAPI":
        # Shared mode knows one rate; without this any other is refused as "invalid device".
        return sounddevice.WasapiSettings(auto_convert=True)
    return None


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether ``event`` was set in time."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
    except TimeoutError:
        return False
    return True
