"""The recogniser's process, by its frames."""

from __future__ import annotations

import io
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from rt_cli.local import worker
from rt_cli.local.recognizer import unavailable
from tests.local.client import recording, silence

needs_pocketsphinx = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))


def ask(*questions: bytes, cwd: Path | None = None) -> list[tuple[bytes, bytes]]:
    """The answers of a real process to some questions and the end of its stdin."""
    done = subprocess.run(
        [sys.executable, "-P", str(Path(worker.__file__))],
        input=b"".join(questions),
        capture_output=True,
        timeout=60,
        check=True,
        cwd=cwd,
    )
    return list(worker.read_frames(io.BytesIO(done.stdout)))


def item(pcm: bytes, rate_hz: int = 16_000) -> list[bytes]:
    """The questions of one item."""
    step = rate_hz // 5 * 2
    audio = [worker.frame(worker.AUDIO, pcm[at : at + step]) for at in range(0, len(pcm), step)]
    return [worker.frame(worker.OPEN, str(rate_hz).encode()), *audio, worker.frame(worker.FINISH)]


@needs_pocketsphinx
def test_every_audio_and_finish_is_answered() -> None:
    """Answers come one for one and in order; the last is the text."""
    questions = item(recording("sense_0930", 16_000))
    answers = ask(worker.frame(worker.RESET), *questions)

    assert len(questions) - 1 == len(answers)
    assert {kind for kind, _ in answers[:-1]} <= {worker.ACK, worker.PARTIAL}
    assert answers[-1] == (worker.FINAL, b"he might even have been made amiable himself")


@needs_pocketsphinx
def test_hypotheses_grow() -> None:
    """While one speaks, the text so far comes back, two thirds of the time at least."""
    answers = ask(*item(recording("sense_0870", 16_000)))
    partials = [text for kind, text in answers if kind == worker.PARTIAL]

    assert len(partials) > len(answers) * 2 / 3
    assert sum(len(before) < len(after) for before, after in pairwise(partials)) > len(partials) / 3


@needs_pocketsphinx
@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100])
def test_rates(rate: int) -> None:
    """Audio comes at the rate of the session; at 8 kHz most words are still there."""
    (*_, (kind, text)) = ask(*item(recording("sense_0930", rate), rate))

    assert kind == worker.FINAL
    assert b"he might even have been" in text or rate < 16_000


@needs_pocketsphinx
@pytest.mark.parametrize("pcm", [b"", b"\0\0", silence(0.01, 16_000), silence(1, 16_000)], ids=len)
def test_next_to_nothing(pcm: bytes) -> None:
    """An item with hardly any audio, or none, has an empty text."""
    answers = ask(*item(pcm), *item(pcm))

    assert [answer for answer in answers if answer[0] == worker.FINAL] == [(worker.FINAL, b"")] * 2


@needs_pocketsphinx
def test_a_pause_is_no_end() -> None:
    """The utterances of an item, pauses between them, make one text."""
    opening, *audio, finish = item(recording("sense_0930", 16_000))
    pause = worker.frame(worker.PAUSE)
    (*_, (_, text)) = ask(opening, *audio, pause, pause, *audio, finish)

    assert text.count(b"he might even have been made") == 2


@needs_pocketsphinx
def test_a_long_utterance_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit an utterance is cut, and all its text stays."""
    from pocketsphinx import Decoder

    monkeypatch.setattr(worker, "LONGEST_S", 2)
    transcriber = worker.Transcriber(Decoder(samprate=16_000, fwdflat=False, loglevel="FATAL"))
    transcriber.open(16_000)
    pcm = recording("sense_0870", 16_000)
    for at in range(0, len(pcm), 6_400):
        transcriber.audio(pcm[at : at + 6_400])

    assert len(transcriber._texts) == 3
    assert len(transcriber.finish().split()) > 12


@needs_pocketsphinx
def test_the_working_directory_is_no_place_for_modules(tmp_path: Path) -> None:
    """A file of the user that is called like a module is not imported."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('imported')")
    (tmp_path / "pocketsphinx.py").write_text("raise SystemExit('imported')")

    assert ask(*item(b""), cwd=tmp_path) == [(worker.FINAL, b"")]


def test_trouble_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong comes back as a frame, in one piece."""
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    answers = io.BytesIO()
    worker.serve(io.BytesIO(), answers)
    answers.seek(0)

    ((kind, text),) = worker.read_frames(answers)
    assert kind == worker.BROKEN
    assert text.startswith(b"ModuleNotFoundError: ")


@pytest.mark.parametrize("cut", range(len(worker.frame(worker.AUDIO, b"four"))))
def test_a_frame_cut_short_is_the_end(cut: int) -> None:
    """When the other side dies in the middle of a frame, what was whole was read and nothing else."""
    whole = worker.frame(worker.OPEN, b"24000")
    stream = io.BytesIO(whole + worker.frame(worker.AUDIO, b"four")[:cut])

    assert list(worker.read_frames(stream)) == [(worker.OPEN, b"24000")]
