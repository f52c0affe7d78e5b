"""DeviceBuffer, WireConverter and Microphone without a device."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.audio.microphone.convert import WireConverter
from rt_cli.audio.microphone.device_buffer import DeviceBuffer
from rt_cli.audio.microphone.devices import Identity, InputDevice
from rt_cli.audio.microphone.portaudio_stream import Microphone, attempts
from rt_cli.audio.source import Block, SourceInfo
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

WIRE_RATE_HZ = 24_000
RATE_HZ = 48_000
FRAMES = 1_920
IDENTITY = Identity("ALSA:microphone", twins=1, place=0)
BLOCK = np.zeros(FRAMES, dtype=np.float32).tobytes()
FINE = SimpleNamespace(input_overflow=False)
OVERFLOWED = SimpleNamespace(input_overflow=True)


def call(buffer: DeviceBuffer, data: bytes = BLOCK, *, at: float = 0.0, status: SimpleNamespace = FINE) -> None:
    """Make one callback as PortAudio does."""
    buffer.callback(data, len(data) // buffer.frame_bytes, SimpleNamespace(inputBufferAdcTime=at), status)


def run(scenario: Coroutine[None, None, None]) -> None:
    """Run a scenario that must end."""
    asyncio.run(asyncio.wait_for(scenario, 10))


class StillStream:
    """A stream that never makes a callback."""

    latency = 0.0

    def __init__(self) -> None:
        self.closed = 0

    def abort(self, **_: bool) -> None:
        """Nothing to do."""

    def close(self, **_: bool) -> None:
        """Count the calls."""
        self.closed += 1


class Time:
    """A clock that the test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def opened(
    *, block_s: float = 0.04, now: Callable[[], float] = time.monotonic
) -> tuple[Microphone, DeviceBuffer, StillStream]:
    """A mono microphone at 48 kHz; the test makes the callbacks."""
    buffer = DeviceBuffer(asyncio.get_running_loop(), RATE_HZ, 1, now)
    stream = StillStream()
    info = SourceInfo("test", "microphone", live=True, rate_hz=RATE_HZ, channels=1)
    return (
        Microphone(info, stream, buffer, WireConverter(RATE_HZ, 1, WIRE_RATE_HZ), block_s, IDENTITY),
        buffer,
        stream,
    )


def test_ring_full_is_counted_to_the_sample() -> None:
    """The ring holds ten seconds; later audio becomes a hole at its position with its exact length."""

    async def scenario() -> None:
        microphone, buffer, _ = opened()
        for _ in range(300):
            call(buffer)
        microphone.stop()
        blocks = [block async for block in microphone.blocks()]

        assert sum(len(block.pcm) // 2 for block in blocks) == 10 * WIRE_RATE_HZ
        assert [block.lost for block in blocks if block.lost] == [2 * WIRE_RATE_HZ]
        assert blocks[-1].lost

    run(scenario())


def test_overflow_of_known_length_is_a_hole() -> None:
    """With steady time stamps an overflow becomes a hole of its length."""

    async def scenario() -> None:
        microphone, buffer, _ = opened()
        for number in range(50):
            call(buffer, at=100 + number * 0.04)
        call(buffer, at=100 + 50 * 0.04 + 0.5, status=OVERFLOWED)
        microphone.stop()
        lost = [block.lost async for block in microphone.blocks() if block.lost]

        assert (lost, microphone.overflows) == ([WIRE_RATE_HZ // 2], 0)

    run(scenario())


@pytest.mark.parametrize("after", [0, 4, 20], ids=["at the end", "while it is measured", "measured"])
def test_overflow_is_estimated_from_arrivals(after: int) -> None:
    """Without time stamps the hole has the length of the pause, and stands between what was before and after it."""

    async def scenario() -> None:
        clock = Time()
        microphone, buffer, _ = opened(now=clock)
        loud = np.full(FRAMES, 0.5, dtype=np.float32).tobytes()
        for _ in range(50):
            call(buffer)
            clock.now += 0.04
        clock.now += 0.5
        call(buffer, loud, status=OVERFLOWED)
        for _ in range(after):
            clock.now += 0.04
            call(buffer, loud)
        microphone.stop()
        blocks = [block async for block in microphone.blocks()]
        (at,) = [number for number, block in enumerate(blocks) if block.lost]
        before, behind = (np.frombuffer(b"".join(b.pcm for b in part), "<i2") for part in (blocks[:at], blocks[at:]))

        assert (blocks[at].lost, microphone.overflows) == (WIRE_RATE_HZ // 2, 1)
        assert (len(before), len(behind)) == (25 * FRAMES, (after + 1) * FRAMES // 2)
        assert not before.any()
        assert np.median(behind) == pytest.approx(16_384, abs=10)

    run(scenario())


def test_overflow_of_unknown_length_is_counted() -> None:
    """Without steady time stamps and earlier arrivals an overflow is counted and makes no hole."""

    async def scenario() -> None:
        microphone, buffer, _ = opened()
        call(buffer, status=OVERFLOWED)
        microphone.stop()
        lost = [block.lost async for block in microphone.blocks() if block.lost]

        assert (lost, microphone.overflows) == ([], 1)

    run(scenario())


def test_wakes_are_coalesced() -> None:
    """Many callbacks wake the loop once; after rearm() the next callback wakes it again."""
    wakes: list[int] = []

    class Counted(DeviceBuffer):
        def wake(self) -> None:
            wakes.append(self.blocks)

    loop = asyncio.new_event_loop()
    buffer = Counted(loop, RATE_HZ, 1)
    for _ in range(250):
        call(buffer)
    buffer.rearm()
    call(buffer)
    call(buffer)
    loop.close()

    assert wakes == [1, 251]


def test_callback_after_the_loop_is_closed() -> None:
    """A callback after the loop is closed stores its block and raises no error."""
    loop = asyncio.new_event_loop()
    loop.close()
    buffer = DeviceBuffer(loop, RATE_HZ, 1)

    call(buffer)

    assert buffer.ring.waiting == len(BLOCK)


def test_stalled_device_is_lost_after_its_audio() -> None:
    """After a second without a callback, all captured audio is yielded, then AudioError is raised."""

    async def scenario() -> None:
        microphone, buffer, _ = opened()
        call(buffer)
        samples, code = 0, None
        try:
            async for block in microphone.blocks():
                samples += len(block.pcm) // 2
        except AudioError as error:
            code = error.code

        assert (code, samples) == ("device_lost", FRAMES // 2)

    run(scenario())


def test_late_callback_is_no_loss() -> None:
    """A pause shorter than the timeout is no loss of the device."""

    async def scenario() -> None:
        microphone, buffer, _ = opened()
        call(buffer)
        asyncio.get_running_loop().call_later(0.8, call, buffer)
        asyncio.get_running_loop().call_later(0.9, microphone.stop)
        samples = [len(block.pcm) // 2 async for block in microphone.blocks()]

        assert sum(samples) == FRAMES

    run(scenario())


def test_stop_is_idempotent_and_ends() -> None:
    """After two calls of stop() before reading, the captured audio is yielded and the iterator ends."""

    async def scenario() -> None:
        microphone, buffer, _ = opened()
        call(buffer)
        microphone.stop()
        microphone.stop()

        assert sum([len(block.pcm) // 2 async for block in microphone.blocks()]) == FRAMES // 2

    run(scenario())


def test_close_is_idempotent() -> None:
    """Two calls of aclose() without reading close the device once."""

    async def scenario() -> None:
        microphone, _, stream = opened()
        await microphone.aclose()
        await microphone.aclose()

        assert stream.closed == 1

    run(scenario())


stretches = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(stretches, st.sampled_from([8_000, 24_000, 44_100, 48_000]), st.sampled_from([1, 2]))
def test_length_of_the_timeline_is_exact(parts: list[tuple[int, int]], rate_hz: int, channels: int) -> None:
    """With any losses, blocks and holes together are as long as the input: to a sample, and the rounding of a hole."""
    converter = WireConverter(rate_hz, channels, WIRE_RATE_HZ)
    blocks: list[Block] = []
    for lost, frames in parts:
        blocks += converter.convert(lost, np.zeros(frames * channels, dtype=np.float32).tobytes())
    blocks += converter.flush()

    samples = sum(block.lost + len(block.pcm) // 2 for block in blocks)
    assert abs(samples - sum(map(sum, parts)) * WIRE_RATE_HZ / rate_hz) <= 1.5


def test_channels_are_averaged() -> None:
    """The mix is the average of left and right."""
    converter = WireConverter(WIRE_RATE_HZ, 2, WIRE_RATE_HZ)
    data = np.array([[0.5, 0.0], [0.25, 0.25]], dtype=np.float32).tobytes()

    blocks = [*converter.convert(0, data), *converter.flush()]

    assert b"".join(block.pcm for block in blocks) == np.array([8192, 8192], dtype="<i2").tobytes()


@pytest.mark.parametrize(
    ("channels", "rate_hz", "expected"),
    [
        pytest.param(1, 44_100, [(44_100, 1), (48_000, 1), (16_000, 1)], id="mono, 44.1 kHz"),
        pytest.param(
            32,
            48_000,
            [(48_000, 2), (48_000, 1), (44_100, 2), (44_100, 1), (16_000, 2), (16_000, 1)],
            id="many channels, 48 kHz",
        ),
        pytest.param(1, 8_000, [(8_000, 1), (48_000, 1), (44_100, 1), (16_000, 1)], id="headset"),
    ],
)
def test_attempts(channels: int, rate_hz: int, expected: list[tuple[int, int]]) -> None:
    """attempts() lists the rate and channels of the device first, then the usual ones, without duplicates."""
    device = InputDevice(0, "mic", "ALSA", channels=channels, rate_hz=rate_hz, is_default=True)

    assert attempts(device) == expected
