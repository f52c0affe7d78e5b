"""The espeak-ng process, tested by its frames."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
import threading
from contextlib import contextmanager
from itertools import groupby, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rt_cli.server.replies import voice_worker as wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="the extra voice is not installed"
)
COMMAND = [sys.executable, "-P", str(Path(wire.__file__))]
SENTENCE = "The quick brown fox jumps over the lazy dog."
ENDLESS = SENTENCE * 5_000
"""Four hours of speech: no test waits for its end."""


def ask(*questions: bytes, cwd: Path | None = None) -> list[tuple[bytes, bytes]]:
    """The answers of a real process to some frames, with stdin closed afterwards."""
    with worker(cwd) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"".join(questions))
        process.stdin.flush()
        answers = []
        due = sum(question[:1] == wire.SPEAK for question in questions)
        for kind, payload in wire.read_frames(process.stdout):
            answers.append((kind, payload))
            due -= kind == wire.DONE
            if not due:
                return answers
        return answers


@contextmanager
def worker(cwd: Path | None = None, command: Sequence[str] = COMMAND) -> Iterator[subprocess.Popen[bytes]]:
    """A process; killed at the end or after a timeout, so that its answers end."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd) as process:
        deadline = threading.Timer(60, process.kill)
        deadline.start()
        try:
            yield process
        finally:
            deadline.cancel()
            process.kill()


def speak(job: int, text: str = SENTENCE, rate: int = 175, voice: str = "en-us") -> bytes:
    """A SPEAK frame."""
    return wire.speak_frame(job, rate, voice, text)


def cancel(job: int) -> bytes:
    """A CANCEL frame."""
    return wire.frame(wire.CANCEL, wire.JOB.pack(job))


def sound(answers: list[tuple[bytes, bytes]], job: int) -> bytes:
    """All audio of a job."""
    head = wire.JOB.pack(job)
    return b"".join(payload[4:] for kind, payload in answers if kind == wire.AUDIO and payload[:4] == head)


def loudness(pcm: bytes) -> float:
    """RMS, full scale is 32768."""
    return float(np.sqrt(np.mean(np.square(np.frombuffer(pcm, "<i2").astype(float)))))


@needs_espeak
def test_sentences_are_spoken_in_order(tmp_path: Path) -> None:
    """READY first, then audio and DONE of each job; from any working directory."""
    (tmp_path / "espeakng_loader.py").write_text("raise SystemExit('the wrong module')")
    answers = ask(speak(1), speak(2, "Yes."), cwd=tmp_path)

    assert answers[0] == (wire.READY, wire.JOB.pack(22_050))
    jobs = [(kind, wire.JOB.unpack_from(payload)[0]) for kind, payload in answers[1:]]
    assert [key for key, _ in groupby(jobs)] == [(wire.AUDIO, 1), (wire.DONE, 1), (wire.AUDIO, 2), (wire.DONE, 2)]
    assert 2 < len(sound(answers, 1)) / 2 / 22_050 < 5, "nine words at 175 words a minute"
    assert len(sound(answers, 2)) < len(sound(answers, 1)) / 2
    assert loudness(sound(answers, 1)) > 500


@needs_espeak
def test_rate_and_voice_change_the_sound() -> None:
    """Half the rate takes nearly twice as long; voices differ; an unknown voice is American English."""
    answers = ask(
        speak(1),
        speak(2, rate=88),
        speak(3, voice="en-us+f3"),
        speak(4, voice="zz"),
        speak(5, voice="../../etc/passwd"),
    )
    usual = sound(answers, 1)

    assert len(sound(answers, 2)) > 1.6 * len(usual)
    assert sound(answers, 3) not in {b"", usual}
    assert len(sound(answers, 4)) == pytest.approx(len(usual), rel=0.02)
    assert len(sound(answers, 5)) == pytest.approx(len(usual), rel=0.02)


@needs_espeak
def test_text_is_never_markup() -> None:
    """Text like tags or phonemes is read out."""
    answers = ask(speak(1, "x"), speak(2, '<break time="60s"/>x'), speak(3, "[[h@'loU]]x"))
    shortest = len(sound(answers, 1))
    assert shortest < len(sound(answers, 2)) < 30 * 22_050 * 2
    assert shortest < len(sound(answers, 3))


@needs_espeak
def test_cancelling_ends_a_sentence_and_skips_one_that_waits() -> None:
    """The next sentence is spoken."""
    answers = ask(speak(1, ENDLESS), speak(2), speak(3, "Yes."), cancel(2), cancel(1))

    assert len(sound(answers, 1)) / 2 / 22_050 < 1_000
    assert sound(answers, 2) == b""
    assert len(sound(answers, 3)) > 0
    assert [wire.JOB.unpack(payload)[0] for kind, payload in answers if kind == wire.DONE] == [1, 2, 3]


@needs_espeak
def test_a_late_cancellation_changes_nothing() -> None:
    """CANCEL after DONE has no effect."""
    with worker() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        frames = wire.read_frames(process.stdout)
        for question in (speak(1), cancel(1) + speak(2)):
            process.stdin.write(question)
            process.stdin.flush()
            assert wire.AUDIO in [kind for kind, _ in takewhile(lambda answer: answer[0] != wire.DONE, frames)]


@needs_espeak
def test_end_of_stdin_ends_the_process() -> None:
    """Also in the middle of a sentence."""
    done = subprocess.run(COMMAND, input=speak(1, ENDLESS), capture_output=True, timeout=60, check=True)
    assert len(sound(list(wire.read_frames(io.BytesIO(done.stdout))), 1)) / 2 / 22_050 < 1_000


def test_missing_engine_is_reported() -> None:
    """BROKEN with the reason; the process ends normally, though stdin is open."""
    planted = f"runpy.run_path({wire.__file__!r}, run_name='__main__')"
    code = f"import runpy, sys; sys.modules['espeakng_loader'] = None; {planted}"
    with worker(command=[sys.executable, "-c", code]) as process:
        assert process.stdout is not None
        ((kind, reason),) = wire.read_frames(process.stdout)
        assert process.wait() == 0
    assert kind == wire.BROKEN
    assert b"espeakng_loader" in reason
