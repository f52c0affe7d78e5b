"""``rt send`` of files and pipes that are damaged, cut or foreign: what is heard, what is said, and the exit code."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from tests.program import Ran, assert_accounted, rt, served, write_wav

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WIRE = 24_000
SOUND = np.random.default_rng(8).integers(-9_000, 9_000, 3 * WIRE, dtype="<i2")
OPTIONS = ("--json", "--speed", "max", "--drain-timeout", "60", "-m", "gpt-4o-transcribe")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """An endpoint without words."""
    with served("--recognizer", "none") as (where, _):
        yield where


def sent(url: str, source: Path | str, *options: str, stdin: bytes | None = None) -> Ran:
    """Send a source whose ledger must balance."""
    ran = rt("send", "--url", url, *OPTIONS, *options, str(source), stdin=stdin)
    assert "Traceback" not in ran.err
    assert_accounted(ran.summary)
    return ran


def test_announced_and_not_heard_is_exit_3(tmp_path: Path, url: str) -> None:
    """All sound that is there is settled; warning and error name place and amount."""
    path = write_wav(tmp_path / "a.wav", SOUND.tobytes())
    path.write_bytes(path.read_bytes()[: 44 + 2 * WIRE])
    for ran in (sent(url, path), sent(url, "-", stdin=path.read_bytes())):
        assert ran.exit == 3
        assert ran.summary["ledger"]["settled"] == ran.summary["ledger"]["captured"] == WIRE
        assert ran.warning_codes == ["truncated"]
        assert len(ran.causes) == 1
        assert "ends at 1.0 s: 2.0 s more that its header announces are missing" in ran.causes[0]


def test_a_hole_is_exit_7(tmp_path: Path, url: str) -> None:
    """A damaged frame is dropped with a reason, at its place, and the sound behind it is heard."""
    soundfile.write(tmp_path / "a.flac", SOUND, WIRE)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    half = len(data) // 2
    data[half : half + 8] = bytes(8)
    (tmp_path / "a.flac").write_bytes(data)
    ran = sent(url, tmp_path / "a.flac")
    (hole,) = ran.of("dropped")

    assert ran.exit == 7
    assert hole["reason"] == "damaged"
    assert 1000 < hole["start_ms"] < hole["end_ms"] < 2000
    assert ran.summary["captured_ms"] == 3000
    assert ran.summary["dropped_ms"] == pytest.approx(hole["end_ms"] - hole["start_ms"], abs=1)


def test_more_than_announced_is_exit_0(tmp_path: Path, url: str) -> None:
    """A header that counts too little is a warning."""
    path = write_wav(tmp_path / "a.wav", SOUND.tobytes())
    data = path.read_bytes()
    path.write_bytes(data[:40] + struct.pack("<I", 100) + data[44:])
    ran = sent(url, path)

    assert ran.exit == 0
    assert ran.warning_codes == ["length", "no_speech"]
    assert ran.summary["captured_ms"] == 3000


@pytest.mark.parametrize("command", ["send", "stream"])
@pytest.mark.parametrize("kind", ["CAF", "text"])
def test_foreign_input_on_a_pipe_is_exit_3(tmp_path: Path, url: str, command: str, kind: str) -> None:
    """Nothing of it is sent, and the one line has the pipe that decodes it."""
    data = b"<html><body>404 not found</body></html>\n" * 9
    if kind != "text":
        soundfile.write(tmp_path / "a", SOUND, WIRE, format=kind)
        data = (tmp_path / "a").read_bytes()
    ran = rt(command, "--url", url, "--json", "-", stdin=data)

    assert ran.exit == 3
    assert ran.summary["ledger"]["captured"] == 0
    assert len(ran.causes) == 1
    assert f"the input is {kind}, not PCM or WAV" in ran.causes[0]
    assert ("ffmpeg -i IN -f wav -" in ran.causes[0]) == (kind != "text")


def test_a_stated_encoding_is_believed(url: str) -> None:
    """With --encoding raw PCM may look like anything."""
    ran = sent(url, "-", "--encoding", "s16le", stdin=b"fLaC" + SOUND.tobytes()[:-4])

    assert ran.exit == 0
    assert ran.summary["captured_ms"] == 3000


def test_24_bits_in_the_lower_three_of_four_bytes(tmp_path: Path, url: str) -> None:
    """Raw S24_LE of ALSA is as loud as it was recorded."""
    raw = (SOUND.astype("<i4") << 8).tobytes()
    ran = sent(url, "-", "--encoding", "S24_LE", "--save-audio", str(tmp_path / "a.wav"), stdin=raw)

    assert ran.exit == 0
    assert np.array_equal(soundfile.read(tmp_path / "a.wav", dtype="int16")[0], SOUND)


def test_channels_that_cancel_each_other(tmp_path: Path, url: str) -> None:
    """The warning names the option, and with the option it is gone."""
    soundfile.write(tmp_path / "a.wav", np.stack([SOUND, -SOUND], axis=1), WIRE)
    ran = sent(url, tmp_path / "a.wav")

    assert ran.warning_codes == ["silent_input"]
    assert "--channel left" in ran.of("warning")[0]["message"]
    assert sent(url, tmp_path / "a.wav", "--channel", "left").warning_codes == ["no_speech"]
