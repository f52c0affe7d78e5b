"""A real microphone with two channels, and one session per channel."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from tests.listening import RATE_HZ, find, live
from tests.program import DATA, assert_accounted, read_wav, served
from tests.virtual_microphone import SINK

if TYPE_CHECKING:
    from pathlib import Path

    from tests.virtual_microphone import VirtualMicrophone

pytestmark = pytest.mark.microphone


def test_split_of_a_microphone(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """Each session receives its own channel only; both have the same timeline."""
    voices = []
    for name, at in (("sense_0930", 0.0), ("sense_0870", 1.0)):
        sound, rate_hz = soundfile.read(DATA / f"{name}.wav", dtype="int16")
        voices.append((sound[: 3 * rate_hz], round(at * rate_hz)))
    frames = np.zeros((5 * rate_hz, 2), np.int16)
    for channel, (sound, at) in enumerate(voices):
        frames[at : at + len(sound), channel] = sound
    call = tmp_path / "call.wav"
    with wave.open(str(call), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(frames.tobytes())
    heard = tmp_path / "heard"
    # The default microphone is mono; the played sound is stereo.
    environment = virtual_microphone.environment | {"PULSE_SOURCE": f"{SINK}.monitor"}
    with (
        served("--recognizer", "none", "--save-audio", str(heard)) as (url, _),
        live(environment, "--url", url, "--channel", "split") as running,
    ):
        virtual_microphone.play(call).wait(30)
        ran = running.interrupt()
    assert ran.exit == 0, ran.err
    assert ran.of("dropped") == []
    captured = set()
    for summary in ran.of("summary"):
        assert_accounted(summary)
        captured.add(summary["ledger"]["captured"])
    assert len(captured) == 1
    sessions = [np.frombuffer(read_wav(path)[0], "<i2") / 32768 for path in sorted(heard.rglob("*.wav"))]
    assert len(sessions) == 2
    found = []
    for sound, at in voices:
        said = np.interp(
            np.arange(len(sound) * RATE_HZ // rate_hz) * rate_hz / RATE_HZ, np.arange(len(sound)), sound / 32768
        )
        places = [find(said, session) for session in sessions]
        best = max(range(2), key=lambda index: places[index][1])
        assert places[best][1] > 0.8, places
        assert places[1 - best][1] < 0.5, places
        found.append((best, places[best][0] - at * RATE_HZ // rate_hz))
    assert {best for best, _ in found} == {0, 1}
    # The second voice starts one second after the first, on the common timeline.
    assert abs(found[0][1] - found[1][1]) < RATE_HZ // 20
