"""FLAC, MP3, Ogg, AIFF, CAF and others that are joined, cut, damaged, or whose header counts wrongly."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.audio.decode.plan import ogg
from rt_cli.errors import AudioError
from tests.audio.decode.heard import WIRE, Heard, hear

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


SECONDS = 4
SOUND = np.random.default_rng(8).integers(-9_000, 9_000, SECONDS * WIRE, dtype="<i2")
ID3 = b"ID3\x04\0\0\0\0\x01\x00" + bytes(128)
KINDS = {"flac": "FLAC", "mp3": "MP3", "ogg": "OGG", "opus": "OGG"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The sound in each format."""
    folder = tmp_path_factory.mktemp("sound")
    for name, kind in KINDS.items():
        soundfile.write(folder / name, SOUND, WIRE, format=kind, subtype="OPUS" if name == "opus" else None)
    for name in ("AIFF", "AU", "CAF", "W64", "RF64"):
        soundfile.write(folder / name.lower(), SOUND, WIRE, format=name, subtype="PCM_16")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def heard(folder: Path, data: bytes, name: str = "a") -> Heard:
    """Read bytes as a file."""
    path = folder / name
    path.write_bytes(data)
    return hear(path)


def alike(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    """Correlation of two sounds of nearly the same length."""
    size = min(len(one), len(other))
    return float(np.corrcoef(one[:size], other[:size])[0, 1])


def damaged(data: bytes, at: float, size: int = 8) -> bytes:
    """Data with some other bytes at a part of its length."""
    start = round(at * len(data))
    return data[:start] + bytes(byte ^ 0xA5 for byte in data[start : start + size]) + data[start + size :]


@pytest.mark.parametrize("name", ["flac", "mp3", "ogg", "opus", "aiff", "au", "w64", "rf64"])
@pytest.mark.parametrize("times", [2, 3])
def test_joined_files_are_heard_one_after_the_other(
    tmp_path: Path, files: dict[str, bytes], name: str, times: int
) -> None:
    """Each part is heard whole, and nothing is said."""
    one = heard(tmp_path, files[name])
    many = heard(tmp_path, files[name] * times)

    assert many.failure is None
    assert many.holes == []
    assert many.codes == []
    assert many.seconds == pytest.approx(times * SECONDS, abs=0.01)
    assert alike(many.sound[-len(one.sound) :], one.sound) > 0.99


@pytest.mark.parametrize("name", ["aiff", "au", "w64", "rf64", "flac", "mp3"])
@pytest.mark.parametrize("part", [0.3, 0.55, 0.95])
def test_cut_files_are_said(tmp_path: Path, files: dict[str, bytes], name: str, part: float) -> None:
    """What is there is heard; warning and error have place and amount, to a tenth of a second."""
    one = heard(tmp_path, files[name][: round(part * len(files[name]))])

    assert one.failure is not None
    assert one.codes == [one.failure.code] == ["truncated"]
    assert one.seconds == pytest.approx(part * SECONDS, abs=0.25)
    missing = SECONDS - one.seconds
    assert f"ends at {one.seconds:.1f} s: {missing:.1f} s more that its header announces" in one.failure.message


@pytest.mark.parametrize("name", ["ogg", "opus"])
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_ogg_without_its_last_page(tmp_path: Path, files: dict[str, bytes], name: str, part: float) -> None:
    """Ogg states no length, but its last page says that it is the last one."""
    one = heard(tmp_path, files[name][: round(part * len(files[name]))])

    assert one.failure is not None
    assert f"ends at {one.seconds:.1f} s, cut short: the page that ends the stream is missing" in one.failure.message
    assert one.codes == ["truncated"]
    assert 0 < one.seconds < SECONDS


@pytest.mark.parametrize("name", ["flac", "ogg", "opus"])
@pytest.mark.parametrize("at", [0.3, 0.5])
def test_damage_is_a_hole(tmp_path: Path, files: dict[str, bytes], name: str, at: float) -> None:
    """8 damaged bytes cost their frame or page; all later sound is at its place."""
    whole = heard(tmp_path, files[name])
    one = heard(tmp_path, damaged(files[name], at))

    assert one.failure is None
    assert len(one.holes) == 1
    assert one.seconds == pytest.approx(whole.seconds, abs=0.001)
    start, end = (round(edge * WIRE) for edge in one.holes[0])
    assert start / WIRE < (at + 0.1) * SECONDS
    assert (end - start) / WIRE < (0.5 if name == "flac" else 1.3)
    assert alike(one.sound[:start], whole.sound[:start]) > 0.99
    assert alike(one.sound[end + 3000 :], whole.sound[end + 3000 :]) > 0.99
    if name == "flac":
        assert np.array_equal(np.delete(one.sound, slice(start, end)), np.delete(whole.sound, slice(start, end)))


@pytest.mark.parametrize("loudness", [4, 9_000])
@pytest.mark.parametrize("size", [8, 200, 3_000])
@pytest.mark.parametrize("at", [0.001, 0.04, 0.2, 0.35, 0.61, 0.77, 0.85])
def test_damage_of_flac_is_a_hole_at_its_place(tmp_path: Path, at: float, size: int, loudness: int) -> None:
    """All samples outside the hole are right: of small frames, the decoder decodes some behind the damage at once."""
    sound = np.random.default_rng(3).integers(-loudness, loudness, SECONDS * WIRE, dtype="<i2")
    soundfile.write(tmp_path / "b.flac", sound, WIRE)
    data = (tmp_path / "b.flac").read_bytes()
    start = data.index(b"\xff\xf8") + 20
    one = heard(tmp_path, damaged(data, (start + at * (len(data) - start)) / len(data), size))
    ((hole_start, hole_end),) = one.holes
    hole = slice(round(hole_start * WIRE), round(hole_end * WIRE))

    assert one.failure is None
    assert hole_start - 0.05 <= at * SECONDS <= hole_end
    assert hole_end - hole_start < size / len(data) * SECONDS + 0.5
    assert np.array_equal(np.delete(one.sound, hole), np.delete(sound, hole))


@pytest.mark.parametrize("name", ["ogg", "opus"])
def test_damage_of_the_first_sound_is_a_hole_at_the_start(tmp_path: Path, files: dict[str, bytes], name: str) -> None:
    """The first page of sound is lost: the timeline begins with it."""
    data = files[name]
    whole = heard(tmp_path, data)
    start = ogg.scan(io.BytesIO(data)).links[0].stretches[0].start
    one = heard(tmp_path, damaged(data, (start + 100) / len(data)))
    ((hole_start, hole_end),) = one.holes
    end = round(hole_end * WIRE)

    assert one.failure is None
    assert hole_start == 0
    assert len(one.sound) == len(whole.sound)
    assert alike(one.sound[end + 3000 :], whole.sound[end + 3000 :]) > 0.99


def test_damage_before_the_last_page_of_opus(tmp_path: Path, files: dict[str, bytes]) -> None:
    """The last page alone is heard as well, to some milliseconds at its place: its start is not stated."""
    pages = [stretch.start for stretch in ogg.scan(io.BytesIO(files["opus"])).links[0].stretches]
    assert len(pages) == 1
    start = files["opus"].rindex(b"OggS") - 100
    one = heard(tmp_path, damaged(files["opus"], start / len(files["opus"])))

    assert one.failure is None
    assert len(one.holes) == 1
    assert one.holes[0][1] == pytest.approx(3, abs=0.05)
    assert one.seconds == pytest.approx(SECONDS, abs=0.001)


def test_damage_of_an_mp3_is_a_hole(tmp_path: Path, files: dict[str, bytes]) -> None:
    """Bytes that are no frames are a hole of about their length."""
    data = files["mp3"]
    half = len(data) // 2
    whole = heard(tmp_path, data)
    one = heard(tmp_path, data[:half] + bytes(3000) + data[half + 3000 :])

    assert one.failure is None
    assert len(one.holes) == 1
    assert one.seconds == pytest.approx(whole.seconds, abs=0.1)
    assert sum(end - start for start, end in one.holes) == pytest.approx(3000 / len(data) * SECONDS, abs=0.1)


def with_count(mp3: bytes, frames: int) -> bytes:
    """An MP3 whose Info frame counts another number of frames."""
    at = max(mp3.find(b"Info"), mp3.find(b"Xing"))
    assert at > 0
    return mp3[: at + 8] + struct.pack(">I", frames) + mp3[at + 12 :]


@pytest.mark.parametrize("frames", [1, 50, 100])
def test_mp3_whose_count_is_too_small(tmp_path: Path, files: dict[str, bytes], frames: int) -> None:
    """All frames are heard, whatever the first one counts; that is a warning."""
    one = heard(tmp_path, with_count(files["mp3"], frames))

    assert one.failure is None
    assert one.codes == ["length"]
    assert one.seconds == pytest.approx(SECONDS, abs=0.07)


def test_mp3_whose_count_is_too_large(tmp_path: Path, files: dict[str, bytes]) -> None:
    """Frames that are counted and not there are an error."""
    one = heard(tmp_path, with_count(files["mp3"], 334))

    assert one.failure is not None
    assert "4.0 s more that its header announces are missing" in one.failure.message
    assert one.seconds == pytest.approx(SECONDS, abs=0.07)


def test_mp3_that_begins_within_a_frame(tmp_path: Path, files: dict[str, bytes]) -> None:
    """The frames from the first whole one on are heard."""
    data = files["mp3"]
    one = heard(tmp_path, data[round(0.25 * len(data)) :])

    assert one.failure is None
    assert one.seconds == pytest.approx(0.75 * SECONDS, abs=0.15)


@pytest.mark.parametrize("name", ["mp3", "flac"])
@pytest.mark.parametrize("behind", [b"TAG" + bytes(125), b"APETAGEX\xd0\x07" + bytes(5000)])
def test_tags_are_no_sound(tmp_path: Path, files: dict[str, bytes], name: str, behind: bytes) -> None:
    """Tags before and behind the sound change nothing."""
    one = heard(tmp_path, ID3 + files[name] + behind[:128])

    assert one.failure is None
    assert one.codes == []
    assert alike(one.sound, SOUND) > 0.8


@pytest.mark.parametrize("name", ["mp3", "ogg"])
def test_bytes_behind_the_sound_are_said(tmp_path: Path, files: dict[str, bytes], name: str) -> None:
    """Much behind the sound that is neither sound nor a tag may have been sound."""
    noise = np.random.default_rng(3).integers(0, 255, 20_000, dtype=np.uint8).tobytes().replace(b"\xff", b"\xfe")
    one = heard(tmp_path, files[name] + noise)

    assert one.failure is not None
    assert one.codes == ["damaged"]
    assert "20000 bytes behind the sound cannot be read" in one.failure.message
    assert one.seconds == pytest.approx(SECONDS, abs=0.01)


def test_a_file_that_is_truncated_while_it_is_read(tmp_path: Path) -> None:
    """The part that is gone is an error."""
    from rt_cli.audio.decode.files import open_file
    from tests.fakes import run

    path = tmp_path / "a.flac"
    soundfile.write(path, np.tile(SOUND, 20), WIRE)
    source = open_file(path, wire_rate_hz=WIRE)

    async def read() -> None:
        first = True
        async for _ in source.blocks():
            if first:
                data = path.read_bytes()
                with path.open("r+b") as file:
                    file.truncate(len(data) * 3 // 4)
            first = False

    with pytest.raises(AudioError, match="s more that its header announces are missing"):
        run(read())
    run(source.aclose())


def test_silence_and_channels_that_cancel_each_other(tmp_path: Path) -> None:
    """The warnings of WAV files are those of all files."""
    soundfile.write(tmp_path / "a.flac", np.stack([SOUND, -SOUND], axis=1), WIRE)
    soundfile.write(tmp_path / "b.flac", np.zeros(WIRE, "<i2"), WIRE)

    assert "--channel left" in hear(tmp_path / "a.flac").warnings[0][1]
    assert "pure silence" in hear(tmp_path / "b.flac").warnings[0][1]
    assert hear(tmp_path / "a.flac", pick=0).warnings == []


@pytest.mark.parametrize("name", ["flac", "mp3", "ogg", "aiff", "au", "w64", "caf"])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_damage_ends(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], name: str, data: st.DataObject
) -> None:
    """With any bytes changed, cut out or repeated, the file is read to some end, or one AudioError is raised."""
    body = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1) | st.integers(0, 300))
        size = data.draw(st.integers(1, 5000))
        new = data.draw(st.sampled_from([b"", bytes(8), b"\xff" * 300, bytes(body[:3000])]))
        body[at : at + size] = new
    try:
        one = heard(tmp_path_factory.mktemp("damaged"), bytes(body))
    except AudioError:
        return
    assert one.seconds < 20 * SECONDS
