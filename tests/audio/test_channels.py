"""Channel selection for files, pipes and microphones."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.channels import Pick, check, choose, min_channels, parse_pick, width
from rt_cli.audio.decode.files import open_file
from rt_cli.audio.decode.stream_decoder import StreamDecoder
from rt_cli.audio.microphone.convert import WireConverter
from rt_cli.audio.microphone.devices import InputDevice
from rt_cli.audio.microphone.portaudio_stream import attempts
from rt_cli.audio.pcm import PcmLayout
from rt_cli.errors import AudioError, UsageError
from tests.fakes import run

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from rt_cli.audio.source import Source

WIRE = 24_000
RANDOM = np.random.default_rng(5)


def noise(rate_hz: int, channels: int, seconds: float = 1.3) -> NDArray[np.int16]:
    """Noise that differs in every channel; shape ``(frames, channels)``."""
    return RANDOM.integers(-8000, 8000, (round(rate_hz * seconds), channels), dtype=np.int16)


def write(path: Path, frames: NDArray[np.int16], rate_hz: int) -> Path:
    """Write a WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(frames.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(frames.tobytes())
    return path


async def all_audio(source: Source) -> bytes:
    """All audio of a source."""
    try:
        return b"".join([block.pcm async for block in source.blocks()])
    finally:
        await source.aclose()


def of_file(path: Path, pick: Pick) -> NDArray[np.int16]:
    """Decode a file."""
    return np.frombuffer(run(all_audio(open_file(path, wire_rate_hz=WIRE, pick=pick))), "<i2")


@pytest.mark.parametrize(
    ("text", "pick", "channels", "wide"),
    [
        ("mix", "mix", 1, 1),
        ("split", "split", 2, 2),
        ("left", 0, 1, 1),
        ("right", 1, 2, 1),
        ("1", 0, 1, 1),
        ("64", 63, 64, 1),
    ],
)
def test_names(text: str, pick: Pick, channels: int, wide: int) -> None:
    """parse_pick(), the least number of channels, and the width of the output."""
    assert parse_pick(text) == pick
    assert (min_channels(pick), width(pick)) == (channels, wide)


@pytest.mark.parametrize("text", ["", "0", "65", "-1", "1.0", "LEFT", "²", "both"])
def test_other_names(text: str) -> None:
    """An unknown name is a UsageError of one line that lists the names."""
    with pytest.raises(UsageError, match=r"mix, left, right, split or 1 to 64"):
        parse_pick(text)


@given(st.integers(1, 6), st.sampled_from(["mix", "split", 0, 1, 2, 5]))
def test_enough_channels(channels: int, pick: Pick) -> None:
    """check() raises exactly if choose() has not enough channels."""
    frames = np.arange(4 * channels, dtype=np.float32).reshape(4, channels)
    if channels < min_channels(pick):
        with pytest.raises(AudioError, match=r"has .* not "):
            check(channels, pick)
        return
    check(channels, pick)
    expected = {"mix": frames.mean(axis=1), "split": frames[:, :2]}.get(str(pick))
    assert np.allclose(choose(frames, pick), frames[:, int(pick)] if expected is None else expected)


def test_a_file_at_the_wire_rate(tmp_path: Path) -> None:
    """Each channel is bit-exact, alone and in ``split``."""
    frames = noise(WIRE, 3)
    path = write(tmp_path / "a.wav", frames, WIRE)
    for channel in range(3):
        assert np.array_equal(of_file(path, channel), frames[:, channel])
    assert np.array_equal(of_file(path, "split").reshape(-1, 2), frames[:, :2])


def test_a_resampled_file(tmp_path: Path) -> None:
    """Two channels resampled together equal each channel resampled alone."""
    path = write(tmp_path / "a.wav", noise(44_100, 2), 44_100)
    both = of_file(path, "split").reshape(-1, 2)
    for channel in range(2):
        assert np.array_equal(both[:, channel], of_file(path, channel))


@pytest.mark.parametrize("pick", ["split", 1])
def test_a_file_without_the_channel(pick: Pick, tmp_path: Path) -> None:
    """The error names the file and its channels."""
    path = write(tmp_path / "a.wav", noise(WIRE, 1), WIRE)
    with pytest.raises(AudioError, match=r"a\.wav: has 1 channel, not ") as caught:
        open_file(path, wire_rate_hz=WIRE, pick=pick)
    assert caught.value.code == "no_channel"


@pytest.mark.parametrize("pick", ["mix", "split", 0, 1])
def test_a_pipe(pick: Pick) -> None:
    """Raw PCM in pieces that split its frames."""
    frames = noise(WIRE, 2)
    decoder = StreamDecoder(PcmLayout("s16le", WIRE, 2), WIRE, pick)
    data = frames.tobytes()
    pcm = b"".join(decoder.push(data[at : at + 1003]) for at in range(0, len(data), 1003)) + decoder.finish()
    got = np.frombuffer(pcm, "<i2").reshape(-1, width(pick))
    expected = choose(frames.astype(np.float32), pick).reshape(-1, width(pick))
    assert np.abs(got - expected).max() <= (0.5 if pick == "mix" else 0)


def test_a_mono_pipe_has_no_right_channel() -> None:
    """A missing channel is an error also for input that would pass unchanged."""
    decoder = StreamDecoder(PcmLayout("s16le", WIRE, 1), WIRE, 1, recognised=False)
    with pytest.raises(AudioError, match="the input has 1 channel, not channel 2"):
        decoder.push(bytes(100))


def test_holes_of_a_microphone_keep_their_place() -> None:
    """In ``split`` both channels have the same position and length of a hole as one channel alone."""
    frames = noise(48_000, 2).astype(np.float32) / 32768
    halves = [(0, frames[:20_000].tobytes()), (4_801, frames[20_000:].tobytes())]
    lengths = {}
    for pick in ("split", 0):
        converter = WireConverter(48_000, 2, WIRE, pick)
        blocks = [block for lost, data in halves for block in converter.convert(lost, data)]
        blocks += list(converter.flush())
        lengths[pick] = [(len(block.pcm) // 2 // width(pick), block.lost) for block in blocks]
    assert lengths["split"] == lengths[0]
    assert sum(samples + lost for samples, lost in lengths[0]) == pytest.approx((len(frames) + 4_801) / 2, abs=1)


def test_a_microphone_is_opened_with_enough_channels() -> None:
    """attempts() lists no channel count that is too small for the selection."""
    device = InputDevice(0, "mic", "ALSA", channels=4, rate_hz=48_000, is_default=True)
    assert {channels for _, channels in attempts(device, min_channels("mix"))} == {2, 1}
    assert {channels for _, channels in attempts(device, min_channels("split"))} == {2}
    assert {channels for _, channels in attempts(device, min_channels(3))} == {4}
