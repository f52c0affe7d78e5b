"""``rt send`` of files that libsndfile does not read, as a user has it: real processes, a real ``rt serve``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr

from tests.media import write_media
from tests.program import DATA, assert_accounted, read_wav, rt, served

if TYPE_CHECKING:
    from pathlib import Path

SPEECH = np.frombuffer(read_wav(DATA / "sense_0930.wav")[0], "<i2")[:, None]
RATE = 16_000
WIRE = 24_000
OPTIONS = ("--json", "--speed", "max", "--drain-timeout", "60", "-m", "gpt-4o-transcribe")
SILENT_SERVER = ("--recognizer", "none")


def test_every_sample_arrives(tmp_path: Path) -> None:
    """The endpoint receives the encoded sound of an M4A from its first sample on, and the ledger counts it."""
    path = write_media(tmp_path / "a.m4a", SPEECH, RATE)
    with served(*SILENT_SERVER, "--save-audio", str(tmp_path / "heard")) as (url, _):
        ran = rt("send", "--url", url, *OPTIONS, str(path))
    (saved,) = (tmp_path / "heard").glob("*.wav")
    heard = np.frombuffer(read_wav(saved)[0], "<i2")
    expected = soxr.resample(SPEECH[:, 0].astype(np.float64), RATE, WIRE)

    assert ran.exit == 0, ran.err
    assert ran.summary["complete"]
    assert ran.summary["ledger"]["captured"] == ran.summary["ledger"]["settled"] == heard.size
    assert 0 <= heard.size - expected.size <= 1024 * WIRE / RATE
    assert np.corrcoef(heard[: expected.size], expected)[0, 1] > 0.999


def test_channel(tmp_path: Path) -> None:
    """The right channel of a film."""
    sides = np.hstack((np.zeros_like(SPEECH), SPEECH))
    path = write_media(tmp_path / "a.mkv", sides, RATE, codec="flac", seconds_of_video=3)
    heard = {}
    for side in ("left", "right"):
        folder = tmp_path / side
        with served(*SILENT_SERVER, "--save-audio", str(folder)) as (url, _):
            assert rt("send", "--url", url, *OPTIONS, "--channel", side, str(path)).exit == 0
        (saved,) = folder.glob("*.wav")
        heard[side] = np.abs(np.frombuffer(read_wav(saved)[0], "<i2").astype(int)).max()

    assert heard["left"] == 0
    assert heard["right"] > 5000


def test_several_at_once_and_again(tmp_path: Path) -> None:
    """M4A with other formats, into a folder; a second run skips all of them."""
    names = [
        str(write_media(tmp_path / "a.m4a", SPEECH, RATE)),
        str(write_media(tmp_path / "b.mp4", SPEECH, RATE, seconds_of_video=3)),
        str(DATA / "sense_0930.wav"),
    ]
    folder = tmp_path / "words"
    with served(*SILENT_SERVER) as (url, _):
        args = ("send", "--url", url, *OPTIONS, "-j", "3", "--skip-done", "--output-dir", str(folder), *names)
        first, second = rt(*args), rt(*args)

    assert (first.exit, second.exit) == (0, 0), first.err + second.err
    assert {path.name for path in folder.glob("*.jsonl")} == {"a.jsonl", "b.jsonl", "sense_0930.jsonl"}
    assert (first.summary.get("skipped", 0), second.summary["skipped"]) == (0, 3)
    for summary in first.of("summary"):
        assert_accounted(summary)


def test_a_part_of_a_file(tmp_path: Path) -> None:
    """``--duration`` ends the file like its end."""
    path = write_media(tmp_path / "a.m4a", SPEECH, RATE)
    with served(*SILENT_SERVER) as (url, _):
        ran = rt("send", "--url", url, *OPTIONS, "--duration", "1s", str(path))

    assert ran.exit == 0, ran.err
    assert ran.summary["ledger"]["captured"] == WIRE


def test_cut_short(tmp_path: Path) -> None:
    """The readable part is delivered; one line describes the damage; exit 3."""
    path = write_media(tmp_path / "a.m4a", SPEECH, RATE, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with served(*SILENT_SERVER) as (url, _):
        ran = rt("send", "--url", url, *OPTIONS, str(path))

    assert ran.exit == 3
    assert len(ran.causes) == 1
    assert "ends at 1.5 s: 1.8 s more that its header announces are missing" in ran.causes[0]
    assert ran.summary["ledger"]["settled"] > WIRE
    assert "Traceback" not in ran.err


def test_without_the_extra(tmp_path: Path) -> None:
    """One line names the extra and the pipe; exit 3; other files are sent."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "av.py").write_text('raise ImportError("planted")\n')
    path = write_media(tmp_path / "a.m4a", SPEECH, RATE)
    env = {"PYTHONPATH": str(tmp_path / "hidden")}
    with served(*SILENT_SERVER) as (url, _):
        ran = rt("send", "--url", url, *OPTIONS, str(path), str(DATA / "sense_0930.wav"), env=env)

    assert ran.exit == 3
    assert [summary["exit"] for summary in ran.of("summary")] == [3, 0]
    (cause,) = ran.causes
    assert "MP4 cannot be read" in cause
    assert "pip install 'rt-cli[media]'" in cause
    assert f"ffmpeg -i {path} -f wav - | rt send -" in cause


@pytest.mark.parametrize("command", ["send", "stream"])
def test_pipe_without_the_extra_is_said_before_connecting(tmp_path: Path, command: str) -> None:
    """One line names the extra and the pipe that decodes it; the endpoint is not bothered."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, *more: None if name == 'av' else find(name, *more)\n"
    )
    path = write_media(tmp_path / "a.m4a", SPEECH, RATE)
    with served(*SILENT_SERVER) as (url, _):
        options = ("--url", url, "--json", "--status", "plain", "-v")
        ran = rt(command, *options, "-", stdin=path.read_bytes(), env={"PYTHONPATH": str(hidden)})

    assert (ran.exit, ran.summary["exit"]) == (3, 3)
    (cause,) = ran.causes
    assert cause == (
        "rt: the input is MP4, which needs PyAV: pip install 'rt-cli[media]', or decode it first: "
        "ffmpeg -i IN -f wav - | rt ... -"
    )
    assert ran.of("session") == []


@pytest.mark.parametrize("command", ["send", "stream"])
@pytest.mark.parametrize("movflags", ["", "faststart"], ids=["index last", "index first"])
def test_pipe_is_decoded(tmp_path: Path, command: str, movflags: str) -> None:
    """An M4A on stdin is heard as the file is; where it is kept, that is said."""
    path = write_media(tmp_path / "a.m4a", SPEECH, RATE, options={"movflags": movflags} if movflags else None)
    with served(*SILENT_SERVER) as (url, _):
        options = ("--url", url, "--json", "--drain-timeout", "5")
        piped = rt(command, *options, "-", stdin=path.read_bytes())
        file = rt("send", *options, str(path))

    assert (piped.exit, file.exit) == (0, 0), piped.err
    assert piped.warning_codes == ([] if movflags else ["kept"])
    assert piped.summary["captured_ms"] == file.summary["captured_ms"]
