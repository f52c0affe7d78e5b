"""A PortAudio microphone: PortAudio's thread copies audio into a ring, and the event loop reads the ring.

Capture starts before :func:`open_microphone` returns. The ring holds ten seconds of unread audio.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from rt_cli.audio.channels import check, min_channels
from rt_cli.audio.microphone.call_in_thread import call_in_thread
from rt_cli.audio.microphone.convert import WireConverter
from rt_cli.audio.microphone.device_buffer import DeviceBuffer
from rt_cli.audio.microphone.devices import (
    Identity,
    do_not_wait_at_exit,
    identify,
    input_devices,
    load_sounddevice,
    recognise,
    restart_portaudio,
    select,
)
from rt_cli.audio.microphone.native_stderr import log_native_stderr, off_stderr
from rt_cli.audio.microphone.pulse import DefaultSource, watch_moves
from rt_cli.audio.source import SourceInfo
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.microphone.devices import InputDevice
    from rt_cli.audio.source import Block

DTYPE = "float32"
"""Float samples arrive without clipping or dither, and the resampler needs floats anyway."""
READ_S = 0.5
"""Most audio per resampling step, so that ten seconds of unread audio do not block the event loop."""
OPEN_DEADLINE_S = 10.0
FIRST_BLOCK_S = 2.0
"""Longest wait for the first audio while opening. After that, :meth:`Microphone.blocks` detects a silent driver."""
FIRST_BLOCK_PATIENCE_S = 5.0
GRACE_S = 0.25
"""Second wait after a timeout: after a suspend or SIGSTOP, timers expire before the next callback has run."""
CLOSE_DEADLINE_S = 2.0
MAX_DRAIN_S = 0.5
LOCK_DEADLINE_S = 1.0
"""Longest wait for the lock on PortAudio. Another thread may hold it for ever, in a call that hangs."""

_portaudio_lock = threading.Lock()
_open_streams: set[Any] = set()
"""A restart of PortAudio would free the memory of these streams."""


class Microphone:
    """An open microphone; a :class:`~rt_cli.audio.source.Source`. :func:`open_microphone` creates it.

    Args:
        info: Properties of the device.
        stream: The running ``sounddevice.RawInputStream``, or an object with the same ``latency``, ``abort`` and
            ``close``.
        buffer: The buffer that the callback writes to.
        converter: Converts device frames to blocks at the wire rate.
        block_s: Seconds between two callbacks.
        identity: Identity for reopening the device.
    """

    def __init__(
        self,
        info: SourceInfo,
        stream: Any,
        buffer: DeviceBuffer,
        converter: WireConverter,
        block_s: float,
        identity: Identity,
    ) -> None:
        self.identity = identity
        self._info = info
        self._stream = stream
        self._buffer = buffer
        self._converter = converter
        self._patience_s = max(1.0, 5 * block_s)
        self._drain_s = min(stream.latency + block_s, MAX_DRAIN_S)
        self._stopped_at: float | None = None
        self._closing = False
        self._watch_task: asyncio.Task[None] | None = None

    @property
    def info(self) -> SourceInfo:
        """Properties of the device."""
        return self._info

    @property
    def overflows(self) -> int:
        """Number of overflows whose length the driver does not know. The hole of each is an estimate, or missing."""
        return self._buffer.overflows

    @property
    def began_at(self) -> float | None:
        """Capture time of the first sample, monotonic seconds, to the precision of a block; None before the first."""
        return self._buffer.began_at

    @property
    def last_at(self) -> float:
        """Capture time of the latest sample; before the first one, the time of opening."""
        return self._buffer.last_at

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the audio in order until :meth:`stop`. Iterate once.

        Cancelling ends the iterator; the device stays open until :meth:`aclose`.

        Raises:
            AudioError: The device delivers no more blocks (``device_lost``). All its audio has been yielded.
        """
        buffer = self._buffer
        lost = False
        while not (lost or self._past_end()):
            buffer.rearm()
            for block in self._read_ring():
                yield block
                await asyncio.sleep(0)
            lost = not await self._wait_for_data()
        buffer.close()
        for block in self._read_ring():
            yield block
            await asyncio.sleep(0)
        for block in self._converter.flush():
            yield block
        if lost:
            log_native_stderr()
            hint = "reconnect it, or choose another with --device"
            raise AudioError(f'the microphone "{self._info.name}" stopped sending', hint, code="device_lost")

    def stop(self) -> None:
        """Stop capture: the iterator yields all audio up to now, then ends. Idempotent, never blocks.

        The iterator goes on for the latency of the driver, at most 0.5 s, because the latest audio is still inside it.
        """
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._buffer.data_ready.set()

    def watch_server(self, process_id: int | None = None, source: int | None = None) -> None:
        """Treat the device as lost if the sound server moves the recording to another one. Ends at :meth:`aclose`.

        Args:
            process_id: The process that records; None for this one.
            source: The server's number of the source; None for the one it records from at first.
        """
        self._watch_task = asyncio.create_task(watch_moves(self._buffer.detach, process_id, source))

    async def aclose(self) -> None:
        """Close the device. Waits at most 2 s for the driver. Idempotent."""
        if self._closing:
            return
        self._closing = True
        self._buffer.closed = True
        if self._watch_task is not None:
            self._watch_task.cancel()
            await asyncio.wait([self._watch_task])
        with off_stderr():
            try:
                await call_in_thread(self._close, deadline_s=CLOSE_DEADLINE_S)
            except TimeoutError:
                do_not_wait_at_exit()

    def _close(self) -> None:
        with _portaudio_lock:
            # abort(), not stop(), because stop() waits for the buffers of the driver and may hang.
            self._stream.abort(ignore_errors=True)
            self._stream.close(ignore_errors=True)
            _open_streams.discard(self._stream)

    def _past_end(self) -> bool:
        return self._stopped_at is not None and time.monotonic() >= self._stopped_at + self._drain_s

    def _read_ring(self) -> Iterator[Block]:
        buffer = self._buffer
        limit = round(READ_S * self._info.rate_hz) * buffer.frame_bytes
        while True:
            lost, data = buffer.ring.read(limit)
            if not lost and not data:
                return
            yield from self._converter.convert(lost // buffer.frame_bytes, data)

    async def _wait_for_data(self) -> bool:
        """Wait for the next wake-up, or for the end time after stop(). False if the device is lost."""
        buffer = self._buffer
        if self._stopped_at is not None:
            await _wait(buffer.data_ready, self._stopped_at + self._drain_s - time.monotonic())
            return True
        if buffer.finished:
            return False
        patience = self._patience_s if buffer.blocks else FIRST_BLOCK_PATIENCE_S
        return await _wait(buffer.data_ready, patience) or await _wait(buffer.data_ready, GRACE_S)


async def open_microphone(
    device: str | Identity | None,
    *,
    wire_rate_hz: int,
    chunk_ms: int = 40,
    first_block_s: float = FIRST_BLOCK_S,
    pick: Pick = "mix",
) -> Microphone:
    """Open a microphone and start capture. Safe to cancel: the device is closed again.

    Args:
        device: Query for :func:`rt_cli.audio.microphone.devices.select`; None for the default. An identity reopens an
            earlier device: this restarts PortAudio, so no microphone may be open.
        wire_rate_hz: Rate of the blocks.
        chunk_ms: Preferred length of a sent chunk; the device delivers blocks of this length, limited to 10..100 ms.
        first_block_s: Longest wait for the first audio.
        pick: The channels to use; for ``split`` the blocks hold two interleaved channels.

    Returns:
        The microphone. Its first audio has arrived, unless the wait timed out.

    Raises:
        UsageError: Several devices match.
        AudioError: PortAudio is missing, no device matches, the device has not enough channels or cannot be opened.
    """
    loop = asyncio.get_running_loop()
    block_s = min(max(chunk_ms, 10), 100) / 1000
    with off_stderr():
        try:
            microphone = await call_in_thread(
                lambda: _open(loop, device, wire_rate_hz, block_s, pick),
                deadline_s=OPEN_DEADLINE_S,
                discard=lambda late: late._close(),  # noqa: SLF001  # no other code has the object
            )
        except TimeoutError as error:
            do_not_wait_at_exit()
            message = f"the microphone did not open within {OPEN_DEADLINE_S:.0f} s"
            raise AudioError(message, "is the sound server alive?", code="device_timeout") from error
    try:
        await _wait(microphone._buffer.data_ready, first_block_s)  # noqa: SLF001  # this function belongs to the class
    except asyncio.CancelledError:
        await microphone.aclose()
        raise
    if sys.platform == "linux":
        microphone.watch_server()
    return microphone


def _open(
    loop: asyncio.AbstractEventLoop, device: str | Identity | None, wire_rate_hz: int, block_s: float, pick: Pick
) -> Microphone:
    if not _portaudio_lock.acquire(timeout=LOCK_DEADLINE_S):
        raise AudioError("the sound system does not answer", "is the sound server alive?", code="device_timeout")
    try:
        return _open_alone(loop, *_choose(device), wire_rate_hz, block_s, pick)
    finally:
        _portaudio_lock.release()


def _choose(device: str | Identity | None) -> tuple[InputDevice, Identity]:
    if not isinstance(device, Identity):
        with DefaultSource() as source:
            devices = input_devices()
            input_device = select(devices, device)
            source.pin()
        return input_device, identify(devices, input_device)
    if _open_streams:
        raise AudioError("a microphone is still open", "wait until it is closed", code="device_unavailable")
    restart_portaudio()
    return recognise(input_devices(), device), device


def _open_alone(
    loop: asyncio.AbstractEventLoop,
    input_device: InputDevice,
    identity: Identity,
    wire_rate_hz: int,
    block_s: float,
    pick: Pick,
) -> Microphone:
    check(input_device.channels, pick, f'the microphone "{input_device.full_name}" ')
    sounddevice = load_sounddevice()
    errors: list[Exception] = []
    for rate_hz, channels in attempts(input_device, min_channels(pick)):
        buffer = DeviceBuffer(loop, rate_hz, channels)
        try:
            stream = _start(sounddevice, input_device, buffer, rate_hz, channels, block_s)
        except sounddevice.PortAudioError as error:
            errors.append(error)
            continue
        _open_streams.add(stream)
        info = SourceInfo(input_device.name, "microphone", live=True, rate_hz=rate_hz, channels=channels)
        # After the start of capture, because it imports numpy.
        converter = WireConverter(rate_hz, channels, wire_rate_hz, pick)
        return Microphone(info, stream, buffer, converter, block_s, identity)
    message = f'the microphone "{input_device.full_name}" cannot be opened ({errors[0]})'
    raise AudioError(message, "is it in use, or not permitted?", code="device_unavailable") from errors[0]


def _start(
    sounddevice: Any, device: InputDevice, buffer: DeviceBuffer, rate_hz: int, channels: int, block_s: float
) -> Any:
    stream = sounddevice.RawInputStream(
        device=device.index,
        samplerate=rate_hz,
        channels=channels,
        dtype=DTYPE,
        blocksize=round(block_s * rate_hz),
        # Three blocks of buffer: the callback may be two blocks late without a loss.
        latency=max(0.1, 3 * block_s),
        extra_settings=_extra_settings(sounddevice, device),
        callback=buffer.callback,
        finished_callback=buffer.on_finished,
    )
    try:
        stream.start()
    except sounddevice.PortAudioError:
        stream.close(ignore_errors=True)
        raise
    return stream


def attempts(device: InputDevice, least: int = 1) -> list[tuple[int, int]]:
    """List the rates and channel counts to try, in order. The rate of the device comes first.

    Args:
        device: The device to open.
        least: Smallest usable number of channels; above this, at most two channels.
    """
    rates = dict.fromkeys((device.rate_hz, 48_000, 44_100, 16_000))
    counts = dict.fromkeys(max(count, least) for count in (min(device.channels, 2), 1))
    return [(rate_hz, channels) for rate_hz in rates for channels in counts]


def _extra_settings(sounddevice: Any, device: InputDevice) -> Any:
    if device.hostapi == "Windows WASAPI":
        # Shared mode has one rate; without auto_convert other rates fail with "invalid device".
        return sounddevice.WasapiSettings(auto_convert=True)
    return None


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Wait for ``event``. False if it is not set within ``seconds``."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
    except TimeoutError:
        return False
    return True
