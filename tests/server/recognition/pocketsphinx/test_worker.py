"""The decoder process, tested by its frames."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.server.recognition.pocketsphinx import worker
from rt_cli.server.recognition.registry import unavailable
from tests.server.client import recording, silence

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_pocketsphinx = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))


def ask(*questions: bytes, cwd: Path | None = None) -> list[tuple[bytes, bytes]]:
    """The answers of a real process to some frames and the end of its stdin."""
    done = subprocess.run(
        [sys.executable, "-P", str(Path(worker.__file__))],
        input=b"".join(questions),
        capture_output=True,
        timeout=60,
        check=True,
        cwd=cwd,
    )
    return list(worker.read_frames(io.BytesIO(done.stdout)))


def begin(rate_hz: int = 16_000, voice: Any = None) -> bytes:
    """A BEGIN frame."""
    return worker.frame(worker.BEGIN, json.dumps({"rate_hz": rate_hz, "voice": voice}).encode())


class Worker:
    """A real process that gets one question at a time, as from the pool."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", str(Path(worker.__file__))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.questions, self.answers = self.process.stdin, worker.read_frames(self.process.stdout)
        assert next(self.answers) == (worker.READY, b"")

    def ask(self, kind: bytes, payload: bytes = b"") -> tuple[bytes, bytes]:
        """The next answer, which may be AGAIN."""
        self.tell(worker.frame(kind, payload))
        return next(self.answers)

    def tell(self, question: bytes) -> None:
        """Send a frame without an answer."""
        self.questions.write(question)
        self.questions.flush()

    def complete(self, kind: bytes, payload: bytes = b"") -> tuple[tuple[bytes, bytes], int]:
        """The answer, and the number of GO frames that it needed."""
        answer, steps = self.ask(kind, payload), 0
        while answer[0] == worker.AGAIN:
            answer, steps = self.ask(worker.GO), steps + 1
        return answer, steps

    def hear(self, pcm: bytes, rate_hz: int = 16_000) -> list[tuple[bytes, bytes]]:
        """The answers to some audio, 200 ms at a time."""
        step = rate_hz // 5 * 2
        return [self.complete(worker.AUDIO, pcm[at : at + step])[0] for at in range(0, len(pcm), step)]

    def utterance(self, pcm: bytes, rate_hz: int = 16_000, voice: Any = None) -> dict[str, Any]:
        """The FINAL answer of an utterance."""
        self.tell(begin(rate_hz, voice))
        self.hear(pcm, rate_hz)
        (kind, payload), _ = self.complete(worker.END)
        assert kind == worker.FINAL
        final: dict[str, Any] = json.loads(payload)
        return final


@pytest.fixture(scope="module")
def process() -> Iterator[Worker]:
    """One process for all tests: an utterance must not affect the next one."""
    worker_ = Worker()
    yield worker_
    worker_.questions.close()
    assert worker_.process.wait(10) == 0
    assert worker_.process.stdout is not None
    worker_.process.stdout.close()


@needs_pocketsphinx
def test_hypotheses_grow(process: Worker) -> None:
    """At least two thirds of the AUDIO frames get a partial text."""
    process.tell(begin())
    answers = process.hear(recording("sense_0870", 16_000))
    process.ask(worker.DROP)
    partials = [text for kind, text in answers if kind == worker.PARTIAL]

    assert {kind for kind, _ in answers} <= {worker.ACK, worker.PARTIAL}
    assert len(partials) > len(answers) * 2 / 3
    assert sum(len(before) < len(after) for before, after in pairwise(partials)) > len(partials) / 3


@needs_pocketsphinx
@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100])
def test_rates(process: Worker, rate: int) -> None:
    """Any rate works; at 8 kHz most words are still right."""
    text = process.utterance(recording("sense_0930", rate), rate)["text"]

    assert "he might even have been" in text or rate < 16_000


@needs_pocketsphinx
@pytest.mark.parametrize("pcm", [b"", b"\0\0", silence(0.01, 16_000), silence(1, 16_000)], ids=len)
def test_utterance_without_audio(process: Worker, pcm: bytes) -> None:
    """An utterance with hardly any audio, or none, has an empty text."""
    assert process.utterance(pcm)["text"] == ""


@needs_pocketsphinx
def test_only_voice_data_has_an_effect(process: Worker) -> None:
    """An utterance depends on its voice data only, not on earlier utterances of the process."""
    clip = recording("sense_0870", 16_000)
    first = process.utterance(clip)
    second = process.utterance(clip, voice=first["voice"])
    process.utterance(bytes(reversed(clip)))

    assert process.utterance(clip, voice=first["voice"]) == second
    assert process.utterance(clip) == first
    assert first["voice"]["cmn"] != second["voice"]["cmn"]
    assert second["voice"]["strange"] <= 0


@needs_pocketsphinx
def test_second_decoding_in_steps(process: Worker) -> None:
    """The second decoding of the first three seconds runs slice by slice, after three seconds or at the end."""
    clip = recording("sense_0870", 16_000)
    piece = 6_400
    process.tell(begin())
    steps = [process.complete(worker.AUDIO, clip[at : at + piece])[1] for at in range(0, 20 * piece, piece)]
    process.ask(worker.DROP)
    process.tell(begin())
    process.hear(clip[: 5 * piece])
    (kind, _), at_the_end = process.complete(worker.END)

    assert steps.count(0) == len(steps) - 1
    assert max(steps) in {15, 16}
    assert (kind, at_the_end) == (worker.FINAL, 5)


@needs_pocketsphinx
def test_drop_during_a_question(process: Worker) -> None:
    """DROP ends the utterance at once and has no later effect."""
    clip = recording("sense_0930", 16_000)
    expected = process.utterance(clip)
    process.tell(begin())
    process.hear(clip[:32_000])
    assert process.ask(worker.END)[0] == worker.AGAIN
    assert process.ask(worker.DROP) == (worker.ACK, b"")

    assert process.utterance(clip) == expected


@needs_pocketsphinx
def test_no_modules_from_the_working_directory(tmp_path: Path) -> None:
    """A user file with the name of a module is not imported."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('imported')")
    (tmp_path / "pocketsphinx.py").write_text("raise SystemExit('imported')")

    answers = ask(begin(), worker.frame(worker.AUDIO, silence(0.2, 16_000)), worker.frame(worker.DROP), cwd=tmp_path)

    assert answers == [(worker.READY, b""), (worker.PARTIAL, b""), (worker.ACK, b"")]


@needs_pocketsphinx
def test_invalid_question() -> None:
    """An invalid question ends the process with BROKEN."""
    *_, (kind, text) = ask(worker.frame(worker.GO))

    assert kind == worker.BROKEN
    assert text.startswith(b"ValueError: nothing to go on with")


def test_failure_is_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is reported in one frame."""
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    answers = io.BytesIO()
    worker.serve(io.BytesIO(), answers)
    answers.seek(0)

    ((kind, text),) = worker.read_frames(answers)
    assert kind == worker.BROKEN
    assert text.startswith(b"ModuleNotFoundError: ")


@pytest.mark.parametrize("cut", range(len(worker.frame(worker.AUDIO, b"four"))))
def test_incomplete_frame(cut: int) -> None:
    """If stdin ends within a frame, only the complete frames are read."""
    whole = worker.frame(worker.DROP, b"24000")
    stream = io.BytesIO(whole + worker.frame(worker.AUDIO, b"four")[:cut])

    assert list(worker.read_frames(stream)) == [(worker.DROP, b"24000")]
