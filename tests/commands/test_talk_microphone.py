"""``rt talk --mic`` as a program, with a real microphone."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.program import DATA, assert_accounted, ended, read_wav, served, start

if TYPE_CHECKING:
    from pathlib import Path

    from tests.virtual_microphone import VirtualMicrophone

pytestmark = pytest.mark.microphone


def test_a_spoken_turn_is_answered(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """What was said comes back, and is heard; Ctrl-C ends with the summary."""
    heard = tmp_path / "heard.wav"
    with served("--recognizer", "none", "--reply", "echo") as (url, _):
        arguments = ("talk", "--mic", "--url", url, "--json", "-q", "--output-audio", str(heard))
        with start(*arguments, env=virtual_microphone.environment) as process:
            assert process.stdout is not None
            while json.loads(process.stdout.readline()).get("state") != "ready":
                pass
            virtual_microphone.play(DATA / "sense_0930.wav").wait(30)
            while (event := json.loads(process.stdout.readline()))["type"] != "reply":
                pass
            process.send_signal(signal.SIGINT)
            ran = ended(process)

    assert ran.exit == 0, ran.err
    assert event["turn"] == 1
    assert event["played_ms"] == event["audio_ms"] > 2000
    pcm, rate = read_wav(heard)
    assert len(pcm) // 2 * 1000 // rate >= event["played_ms"]
    assert_accounted(ran.summary)
