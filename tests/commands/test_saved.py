"""Captions, transcripts and sound of a run, read by other programs; also after ``kill -9`` and on a full disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import srt
import webvtt

from rt_cli.output.results.captions import clock
from tests.exact import exact_endpoint, judge, turns
from tests.program import ROOT, RT, Ran, ended, read_wav, rt, start, write_wav
from tests.servers import polite, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODEL = ("-m", "gpt-4o-transcribe", "--speed", "max")
SECOND = bytes(48_000)
DEADLINE_S = 30.0
full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """One exact endpoint for all tests."""
    with exact_endpoint() as address:
        yield address


def turns_and_words(count: int) -> tuple[bytes, list[range]]:
    """Return sound of several turns, with silence between them, and the words that they spell."""
    return turns(count, silence_ms=700)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def cues(path: Path) -> list[str]:
    """Return the texts of an SRT file; its last cue may be incomplete."""
    return [cue.content.replace("\n", " ") for cue in srt.parse(path.read_text())]


def test_captions_come_while_the_sound_goes_on(url: str) -> None:
    """A complete cue is in the file before the source ends."""
    sound, spans = turns_and_words(2)
    with start("stream", "--url", url, *MODEL[:2], "-q", "-o", "srt", "-", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(sound)
        process.stdin.flush()
        first = [process.stdout.readline().decode() for _ in range(4)]
        ran = ended(process)

    (cue,) = srt.parse("".join(first))
    assert first[-1] == "\n"
    assert cue.start.total_seconds() == pytest.approx(0, abs=0.1)
    parsed = [cue.content for cue in srt.parse("".join(first) + ran.out)]
    assert judge(parsed, spans).perfect
    assert ran.exit == 0, ran.err


def test_what_was_sent_is_saved(url: str, tmp_path: Path) -> None:
    """Every sample and every word is saved; stdout is the same as without saving."""
    sound, spans = turns_and_words(4)
    source = write_wav(tmp_path / "s.wav", sound)
    files = ("--save-audio", str(tmp_path / "a.wav"), "--save-transcript", str(tmp_path / "t.vtt"))
    ran = rt("send", "--url", url, *MODEL, "--json", *files, str(source))

    assert ran.exit == 0, ran.err
    assert read_wav(tmp_path / "a.wav") == (sound, 24_000)
    finals = ran.of("final")
    assert judge((final["text"] for final in finals), spans).perfect
    captions = list(webvtt.read(str(tmp_path / "t.vtt")))
    assert judge((cue.text for cue in captions), spans).perfect
    assert [cue.start for cue in captions] == [clock(final["start_ms"]) for final in finals]


def test_timestamps(url: str, tmp_path: Path) -> None:
    """Each line starts with the time of its turn, as in NDJSON."""
    source = str(write_wav(tmp_path / "s.wav", turns_and_words(3)[0]))
    lines = rt("send", "--url", url, *MODEL, "--timestamps", source).out.splitlines()
    finals = rt("send", "--url", url, *MODEL, "--json", source).of("final")

    assert lines == [f"[00:00:0{final['start_ms'] / 1000:.3f}] {final['text']}" for final in finals]


def test_kill_9_leaves_whole_files(url: str, tmp_path: Path) -> None:
    """After kill -9 the files have the sound up to a moment before, and each printed final."""
    audio, transcript = tmp_path / "a.wav", tmp_path / "t.srt"
    sound, spans = turns_and_words(8)
    files = ("--save-audio", str(audio), "--save-transcript", str(transcript))
    with start("stream", "--url", url, *MODEL[:2], "-q", *files, "-", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(sound)
        process.stdin.flush()
        until(lambda: audio.exists() and audio.stat().st_size > 4 * 48_000)
        until(lambda: transcript.exists() and transcript.read_text().count("-->") >= 3)
        process.kill()
        process.wait(DEADLINE_S)

    saved, rate_hz = read_wav(audio)
    assert rate_hz == 24_000
    assert len(saved) > 3 * 48_000
    assert sound.startswith(saved)
    read = cues(transcript)
    assert len(read) >= 3
    assert judge(read, spans[: len(read)]).perfect


def test_a_folder_of_results(url: str, tmp_path: Path) -> None:
    """One file per source, in any order of endings; a failed source has none."""
    folder = tmp_path / "new" / "results"
    spans = {}
    for number in range(1, 5):
        sound, spans[f"s{number}.srt"] = turns_and_words(number)
        write_wav(tmp_path / f"s{number}.wav", sound)
    (tmp_path / "s5.wav").write_bytes(b"no sound")
    sources = [str(tmp_path / f"s{number}.wav") for number in range(1, 6)]
    ran = rt("send", "-j", "3", "--url", url, *MODEL, "-o", "srt", "--output-dir", str(folder), *sources)

    assert ran.exit == 3, ran.err
    assert ran.out == ""
    assert sorted(path.name for path in folder.iterdir()) == sorted(spans)
    for name, expected in spans.items():
        assert judge(cues(folder / name), expected).perfect


def test_a_folder_of_ndjson(url: str, tmp_path: Path) -> None:
    """The files have the lines of a source without its name; stdout has all lines with it, and the total."""
    sources = [str(write_wav(tmp_path / f"{name}.wav", turns_and_words(2)[0])) for name in "ab"]
    ran = rt("send", "--url", url, *MODEL, "--json", "--output-dir", str(tmp_path / "out"), *sources)

    assert ran.exit == 0, ran.err
    assert ran.summary["type"] == "total"
    for source, name in zip(sources, "ab", strict=True):
        events = [json.loads(line) for line in (tmp_path / "out" / f"{name}.jsonl").read_text().splitlines()]
        assert events[-1]["type"] == "summary"
        expected = [event for event in ran.of("final") if event["source"] == source]
        assert [event | {"source": source} for event in events if event["type"] == "final"] == expected
        assert len(expected) == 2


def test_channels_have_a_file_each_and_a_transcript_together(url: str, tmp_path: Path) -> None:
    """One sound file per channel, and one transcript in the order of time."""
    one, two = (np.frombuffer(turns_and_words(1)[0], "<i2") for _ in range(2))
    quiet = np.zeros(one.size, np.int16)
    stereo = np.stack((np.concatenate((one, quiet)), np.concatenate((quiet, two))), axis=1)
    with wave.open(str(tmp_path / "s.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(stereo.tobytes())
    files = ("--save-audio", str(tmp_path / "a.wav"), "--save-transcript", str(tmp_path / "t.srt"))
    ran = rt("send", "--channel", "split", "--url", url, *MODEL, *files, str(tmp_path / "s.wav"))

    assert ran.exit == 0, ran.err
    assert cues(tmp_path / "t.srt") == ["left: 0-7199", "right: 0-7199"]
    for side, column in (("left", 0), ("right", 1)):
        assert read_wav(tmp_path / f"a.{side}.wav") == (stereo[:, column].tobytes(), 24_000)
    assert not (tmp_path / "a.wav").exists()


@pytest.mark.parametrize(
    ("args", "cause"),
    [
        pytest.param(["--save-audio", "{}/none/a.wav"], "cannot write", id="sound, no folder"),
        pytest.param(["--save-audio", "{}/old.wav"], "exists: choose another name, or --force", id="older sound"),
        pytest.param(["--save-audio", "{}/s.wav", "--force"], "is the source itself", id="sound over itself"),
        pytest.param(["--save-transcript", "{}/none/t.txt"], "cannot write", id="transcript, no folder"),
        pytest.param(["--save-transcript", "{}/s.wav"], "no format is called .wav", id="transcript, no format"),
        pytest.param(["--output-dir", "{}/s.wav"], "cannot write to", id="folder is a file"),
        pytest.param(["--save-audio", "/dev/full"], "No space left", id="sound, full disk", marks=full_disk),
        pytest.param(["-o", "vtt", "{}/s.wav"], "vtt captions are of one source, not 2", id="captions of two"),
        pytest.param(["--save-audio", "{}/a.wav", "{}/s.wav"], "--save-audio is for one source", id="sound of two"),
    ],
)
def test_unwritable_file_ends_the_run_before_sending(tmp_path: Path, args: list[str], cause: str) -> None:
    """One line, exit 2, and no sample is sent."""
    source = str(write_wav(tmp_path / "s.wav", SECOND))
    before = Path(source).read_bytes()
    (tmp_path / "old.wav").write_bytes(before)
    with scripted(polite("hello")) as server:
        ran = rt("send", "--url", server.url, *MODEL, source, *(arg.format(tmp_path) for arg in args))
        heard = server.audio

    assert ran.exit == 2
    (line,) = ran.causes
    assert cause in line
    assert ran.out == ""
    assert heard == b""
    assert Path(source).read_bytes() == before == (tmp_path / "old.wav").read_bytes()


@full_disk
def test_a_full_disk_ends_no_run(url: str, tmp_path: Path) -> None:
    """Results go on to stdout; the failure is a warning at once, and the cause and exit code at the end."""
    transcript = tmp_path / "t.txt"
    transcript.symlink_to("/dev/full")
    sound, spans = turns_and_words(3)
    ran = rt(
        *("send", "--url", url, *MODEL, "--json", "--save-transcript", str(transcript)),
        str(write_wav(tmp_path / "s.wav", sound)),
    )

    assert judge((final["text"] for final in ran.of("final")), spans).perfect
    assert ran.warning_codes == ["save_failed"]
    assert ran.exit == 2
    assert ran.causes == [f"rt: cannot write {transcript}: No space left on device: make room, or write elsewhere"]


def limited(*args: str, largest_file: int) -> Ran:
    """Run ``rt`` with a limit on the file size."""
    setup = f"import os, resource as r; r.setrlimit(r.RLIMIT_FSIZE, ({largest_file}, r.RLIM_INFINITY))"
    code = f"{setup}; os.execv({sys.executable!r}, {[*RT, *args]!r})"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ}
    ) as process:
        return ended(process)


@pytest.mark.skipif(sys.platform == "win32", reason="no such limits here")
def test_full_disk_with_save_audio(url: str, tmp_path: Path) -> None:
    """The sound file is valid up to the limit, and the run goes on with a warning."""
    sound, spans = turns_and_words(4)
    source = write_wav(tmp_path / "s.wav", sound)
    saved = tmp_path / "a.wav"
    ran = limited("send", "--url", url, *MODEL, "--json", "--save-audio", str(saved), str(source), largest_file=100_000)

    assert judge((final["text"] for final in ran.of("final")), spans).perfect
    assert ran.exit == ran.summary["exit"] == 2
    assert ran.summary["ledger"]["settled"] == len(sound) // 2
    (cause,) = ran.causes
    assert f"{saved} does not hold all sound: File too large" in cause
    with wave.open(str(saved)) as file:
        assert sound.startswith(file.readframes(file.getnframes()))
