"""``rt talk`` against the real endpoint: files, stdin and typed lines in, replies out; exit codes."""

from __future__ import annotations

import io
import json
import signal
import time
import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from tests.program import DATA, assert_accounted, ended, rt, served, start, write_wav

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

RATE = 24_000


def words(name: str, seconds: float) -> bytes:
    """The beginning of a recording, at the rate of the wire."""
    pcm, rate = soundfile.read(DATA / name, dtype="int16")
    pcm = pcm[: round(seconds * rate)]
    at = np.arange(round(seconds * RATE)) * rate / RATE
    return np.interp(at, np.arange(len(pcm)), pcm).astype("<i2").tobytes()


@pytest.fixture(scope="module")
def turns(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two turns of the user."""
    folder = tmp_path_factory.mktemp("turns")
    first = write_wav(folder / "first.wav", words("sense_0870.wav", 2.0))
    return first, write_wav(folder / "second.wav", words("sense_0930.wav", 1.5))


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    """The URL of an endpoint that says everything again."""
    with served("--recognizer", "none", "--reply", "echo") as (url, _):
        yield url


@pytest.fixture(scope="module")
def text() -> Iterator[str]:
    """The URL of an endpoint that replies with the words of the user."""
    with served("--recognizer", "none", "--reply", "text", "--reply-text", "You said: {transcript}") as (url, _):
        yield url


def both_sides(path: Path) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Left and right of a stereo file."""
    sides, rate = soundfile.read(path, dtype="int16")
    assert (rate, sides.shape[1]) == (RATE, 2)
    return sides[:, 0], sides[:, 1]


def place_of(part: NDArray[np.int16], whole: NDArray[np.int16]) -> int:
    """Where a part stands, sample for sample."""
    found = whole.tobytes().find(part.tobytes())
    assert found >= 0
    return found // 2


def test_a_conversation_of_two_turns(echo: str, turns: tuple[Path, Path], tmp_path: Path) -> None:
    """Words, reply and latency of each turn, in this order; what is heard is what was said."""
    first, second = turns
    files = ("--output-audio", str(tmp_path / "heard.wav"), "--record-both", str(tmp_path / "both.wav"))

    ran = rt("talk", "--url", echo, "--input", str(first), "--input", str(second), "--json", "-q", *files)

    assert ran.exit == 0, ran.err
    wanted = {"final", "reply", "latency", "barge_in", "tool", "summary"}
    kinds = [event["type"] for event in ran.events if event["type"] in wanted]
    assert kinds == ["final", "reply", "latency", "final", "reply", "latency", "summary"]
    assert [reply["turn"] for reply in ran.of("reply")] == [1, 2]
    assert all(reply["played_ms"] == reply["audio_ms"] > 1000 for reply in ran.of("reply"))
    assert not any(reply["interrupted"] for reply in ran.of("reply"))
    assert (ran.summary["replies"], ran.summary["interruptions"], ran.summary["tool_calls"]) == (2, 0, 0)
    assert_accounted(ran.summary)
    left, right = both_sides(tmp_path / "both.wav")
    said, _ = soundfile.read(first, dtype="int16")
    assert place_of(said, left) == 0
    heard, _ = soundfile.read(tmp_path / "heard.wav", dtype="int16")
    assert place_of(heard[:RATE], right) > len(said)
    assert np.count_nonzero(right) == np.count_nonzero(heard)


def test_an_interruption_is_exact_to_the_sample(echo: str, turns: tuple[Path, Path], tmp_path: Path) -> None:
    """The second turn begins half a second after the first sample of the reply; the reply is cut where it stopped."""
    first, second = turns
    files = ("--output-audio", str(tmp_path / "heard.wav"), "--record-both", str(tmp_path / "both.wav"))
    inputs = ("--input", str(first), "--input", str(second), "--interrupt-at", "0.5s")

    ran = rt("talk", "--url", echo, *inputs, "--json", "-q", *files)

    assert ran.exit == 0, ran.err
    left, right = both_sides(tmp_path / "both.wav")
    heard, _ = soundfile.read(tmp_path / "heard.wav", dtype="int16")
    said, _ = soundfile.read(second, dtype="int16")
    replies, (barge_in,) = ran.of("reply"), ran.of("barge_in")
    starts = place_of(heard[: RATE // 2], right)
    assert place_of(said, left) == starts + RATE // 2
    assert [reply["interrupted"] for reply in replies] == [True, False]
    assert replies[0]["played_ms"] == barge_in["truncated_ms"] < replies[0]["audio_ms"]
    assert abs(starts * 1000 / RATE + replies[0]["played_ms"] - barge_in["at_ms"]) <= 1
    assert np.count_nonzero(right[starts + barge_in["truncated_ms"] * 24 + 24 :][: RATE // 2]) == 0
    assert ran.summary["interruptions"] == 1


def test_turns_of_our_own_detector(echo: str, turns: tuple[Path, Path]) -> None:
    """The endpoint is asked for each reply, and interrupted by the speech that rt hears."""
    inputs = ("--input", str(turns[0]), "--input", str(turns[1]), "--interrupt-at", "0.5s")

    ran = rt("talk", "--url", echo, *inputs, "--turn-detection", "client", "--json", "-q")

    assert ran.exit == 0, ran.err
    assert [reply["interrupted"] for reply in ran.of("reply")] == [True, False]
    assert all(400 < latency["endpointing_ms"] < 1500 for latency in ran.of("latency"))
    assert all(latency["first_audio_ms"] >= 0 for latency in ran.of("latency"))


def test_typed_lines_are_answered_one_after_the_other(text: str) -> None:
    """Each when the one before it has its reply; stdout has the replies."""
    ran = rt("talk", "--url", text, "--no-audio", "-q", stdin=b"one\n\ntwo\n")

    assert (ran.exit, ran.out) == (0, "You said: one\nYou said: two\n"), ran.err


def test_typed_lines_in_ndjson(text: str) -> None:
    """They are of no turn, and the timeline is empty."""
    ran = rt(
        "talk", "--url", text, "--no-audio", "-q", "--json", stdin="caf\u00e9 \udcff".encode(errors="surrogateescape")
    )

    (reply,) = ran.of("reply")
    del reply["at"]
    assert reply == {
        "type": "reply",
        "turn": None,
        "text": "You said: caf\u00e9 \ufffd",
        "audio_ms": 0,
        "played_ms": 0,
        "status": "completed",
        "interrupted": False,
    }
    assert (ran.exit, ran.summary["captured_ms"], ran.summary["complete"]) == (0, 0, True)


def test_stdin_as_sound_and_the_reply_on_stdout(echo: str, turns: tuple[Path, Path]) -> None:
    """A pipe is said no faster than it sounds; the reply is a WAV stream."""
    with start("talk", "-", "--url", echo, "-q", "--output-audio", "-", stdin=-1) as process:
        assert process.stdin is not None
        out, err = process.communicate(turns[0].read_bytes(), timeout=30)

    assert process.returncode == 0, err
    with wave.open(io.BytesIO(out)) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE, 1)
    assert len(out) - 44 > RATE * 2


def test_both_sides_are_whole_after_a_kill(echo: str, turns: tuple[Path, Path], tmp_path: Path) -> None:
    """The file is valid at any time, up to a second before the end."""
    both = tmp_path / "both.wav"
    with start("talk", "--url", echo, "--input", str(turns[0]), "--record-both", str(both), "-q") as process:
        deadline = time.monotonic() + 20
        while (both.stat().st_size if both.exists() else 0) < 44 + 4 * RATE:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    left, _ = both_sides(both)
    said, _ = soundfile.read(turns[0], dtype="int16")
    assert len(left) >= RATE
    assert (left[: RATE - 2400] == said[: RATE - 2400]).all()


def test_ctrl_c_ends_a_conversation(echo: str, turns: tuple[Path, Path]) -> None:
    """As it ends a live source: with its words, its summary, and exit code 0."""
    with start("talk", "--url", echo, "--input", str(turns[0]), "--json", "-q") as process:
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["type"] != "final":
            pass
        process.send_signal(signal.SIGINT)
        ran = ended(process)

    assert ran.exit == 0, ran.err
    assert ran.summary["type"] == "summary"


def test_a_faster_clock(echo: str, turns: tuple[Path, Path]) -> None:
    """At four times the speed everything takes less time, on a busy machine, too."""
    ran = rt("talk", "--url", echo, "--input", str(turns[0]), "--json", "-q", "--speed", "4")

    assert ran.exit == 0, ran.err
    assert 4000 < ran.summary["captured_ms"] < 20_000
    assert ran.summary["wall_ms"] < ran.summary["captured_ms"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(("talk.wav",), "rt talk takes -, not talk.wav", id="a file as an argument"),
        pytest.param(("--mic", "-"), "more than one source", id="two sources"),
        pytest.param(("--input", "-"), "--input - is no file", id="stdin as a file"),
        pytest.param(("--input", "a.wav", "--interrupt-at", "1s"), "without a turn that interrupts", id="one turn"),
        pytest.param(("-", "--json", "--output-audio", "-"), "write to stdout", id="stdout twice"),
        pytest.param(("--no-audio", "--output-audio", "a.wav"), "leaves nothing", id="no audio to write"),
        pytest.param(("-f", "srt"), "a conversation has no srt", id="captions"),
        pytest.param(("--speed", "max"), "a conversation has a speed", id="no speed"),
        pytest.param(("--turn-detection", "none"), "a conversation has turns", id="no turns"),
        pytest.param(("--url", "ws://127.0.0.1:9/?model=a", "-m", "b"), "both --model and a model", id="two models"),
        pytest.param(
            ("--url", "ws://127.0.0.1:9/?intent=transcription"), "is no conversation", id="another kind of session"
        ),
        pytest.param(("--tool", "weather"), "has no =", id="a tool without a command"),
        pytest.param(("--tool", "a b=true"), "tool name", id="a bad name"),
        pytest.param(("--tool", "a={program} x"), "lets the model choose", id="any program"),
        pytest.param(("--tools", "missing.json"), "--tools missing.json", id="no such file"),
        pytest.param(("--tool", "a=true", "--tool", "a=false"), "two tools are named a", id="one name twice"),
        pytest.param(("--tool", "a=./missing.sh"), "./missing.sh", id="no such program"),
        *(
            pytest.param(
                ("--input", "a.wav", "--force", *outputs), "is a file of this run already", id=" ".join(outputs)
            )
            for outputs in (
                ("--record-both", "a.wav"),
                ("--output-audio", "./a.wav"),
                ("--junit", "a.wav"),
                ("--junit", "b", "--record", "b"),
                ("--output-audio", "b", "--record-both", "b"),
            )
        ),
    ],
)
def test_usage_errors(arguments: tuple[str, ...], problem: str) -> None:
    """One line, exit code 2, nothing on stdout."""
    ran = rt("talk", *arguments)

    assert (ran.exit, ran.out) == (2, "")
    assert problem in ran.causes[0]


def test_a_report_that_cannot_be_written_ends_before_a_connection(tmp_path: Path) -> None:
    """Not after a long conversation."""
    ran = rt("talk", "--url", "ws://127.0.0.1:9", "--junit", str(tmp_path / "no" / "report.xml"), stdin=b"hello\n")

    assert ran.exit == 2
    assert ran.causes[0].startswith("rt: cannot write the report ")


def test_a_file_that_is_none_ends_before_a_connection() -> None:
    """With a summary, and the exit code of the source."""
    ran = rt("talk", "--url", "ws://127.0.0.1:9", "--input", "missing.wav", "--json")

    assert ran.exit == ran.summary["exit"] == 3
    assert ran.of("error")[0]["message"].startswith("missing.wav")


def test_an_endpoint_that_is_not_there() -> None:
    """As everywhere: exit code 5."""
    ran = rt("talk", "--url", "ws://127.0.0.1:9", "--connect-timeout", "0.5", "--json", "-q", stdin=b"hello\n")

    assert ran.exit == ran.summary["exit"] == 5
