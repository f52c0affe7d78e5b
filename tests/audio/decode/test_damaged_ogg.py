"""Ogg FLAC and Ogg Speex, which libav decodes: damaged and missing pages, cuts, and links one after the other."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from rt_cli.audio.decode.plan import ogg
from tests.audio.decode.heard import WIRE, Heard, hear

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

pytest.importorskip("av")

SECONDS = 6
SOUND = np.random.default_rng(8).integers(-9_000, 9_000, SECONDS * WIRE, dtype="<i2")
SPEEX = pytest.param(
    "speex", marks=pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg"), id="speex"
)
NAMES = ["flac", SPEEX]


def ogg_flac(path: Path, sound: NDArray[np.int16]) -> bytes:
    """Ogg FLAC with a page a second."""
    import av

    soundfile.write(path.with_suffix(".flac"), sound, WIRE)
    with av.open(str(path.with_suffix(".flac"))) as plain, av.open(str(path), "w", format="ogg") as container:
        track = container.add_stream_from_template(plain.streams.audio[0])
        for packet in plain.demux():
            if packet.size:
                packet.stream = track
                container.mux(packet)
    return path.read_bytes()


def speex(folder: Path, sound: NDArray[np.int16]) -> bytes:
    """Ogg Speex with a page a second."""
    source, path = folder / "a.wav", folder / "a.spx"
    soundfile.write(source, sound, WIRE)
    command = ["ffmpeg", "-v", "error", "-i", source, "-ar", "16000", "-c:a", "libspeex", path]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("this ffmpeg has no Speex")
    return path.read_bytes()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The sound in both codecs."""
    folder = tmp_path_factory.mktemp("ogg")
    made = {"flac": ogg_flac(folder / "a.oga", SOUND)}
    if shutil.which("ffmpeg") is not None:
        made["speex"] = speex(folder, SOUND)
    return made


def heard(folder: Path, data: bytes) -> Heard:
    """Read bytes as a file."""
    path = folder / "a"
    path.write_bytes(data)
    return hear(path)


def page_starts(data: bytes) -> list[int]:
    """Places of the pages."""
    starts, at = [], 0
    while at < len(data):
        starts.append(at)
        at += ogg.page_length(data, at)
    return starts


def page_ends_s(data: bytes, name: str) -> list[float]:
    """End of each page on the timeline."""
    granules = [int.from_bytes(data[at + 6 : at + 14], "little") for at in page_starts(data)]
    return [granule / (WIRE if name == "flac" else 16_000) for granule in granules]


def damaged(data: bytes, at: int) -> bytes:
    """Data with 8 other bytes."""
    return data[:at] + bytes(byte ^ 0xA5 for byte in data[at : at + 8]) + data[at + 8 :]


def check_hole(one: Heard, whole: Heard, start_s: float, end_s: float) -> None:
    """The only hole is there, and all other sound at its place."""
    assert one.failure is None
    ((start, end),) = one.holes
    assert start == pytest.approx(start_s, abs=0.015)
    assert end == pytest.approx(end_s, abs=0.015)
    assert one.seconds == pytest.approx(whole.seconds, abs=0.015)
    before, behind = round(start * WIRE), len(one.sound) - round(end * WIRE)
    if before:
        assert np.corrcoef(one.sound[:before], whole.sound[:before])[0, 1] > 0.95
    assert np.corrcoef(one.sound[-behind + 2000 :], whole.sound[-behind + 2000 :])[0, 1] > 0.95


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("page", [2, 3, 5, 6])
@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_a_page_that_is_lost_is_a_hole(tmp_path: Path, files: dict[str, bytes], name: str, page: int, how: str) -> None:
    """The hole is where the page was, wherever in the file that is."""
    data = files[name]
    start, end = page_starts(data)[page : page + 2]
    ends_s = page_ends_s(data, name)
    one = heard(tmp_path, damaged(data, start + 500) if how == "damaged" else data[:start] + data[end:])

    check_hole(one, heard(tmp_path, data), ends_s[page - 1], ends_s[page])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("page", [2, 4])
def test_a_page_that_is_lost_in_the_second_of_joined_files(
    tmp_path: Path, files: dict[str, bytes], name: str, page: int
) -> None:
    """Positions go on from link to link."""
    data = files[name]
    ends_s = page_ends_s(data, name)
    one = heard(tmp_path, data + damaged(data, page_starts(data)[page] + 500))

    check_hole(one, heard(tmp_path, data + data), SECONDS + ends_s[page - 1], SECONDS + ends_s[page])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", [0.3, 0.6, 0.97])
def test_a_cut_is_said(tmp_path: Path, files: dict[str, bytes], name: str, part: float) -> None:
    """The page that ends the stream is missing."""
    one = heard(tmp_path, files[name][: round(part * len(files[name]))])

    assert one.failure is not None
    assert "the page that ends the stream is missing" in one.failure.message
    assert one.codes == ["truncated"]
    assert 0 < one.seconds < SECONDS


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("times", [1, 2])
def test_good_files_are_whole(tmp_path: Path, files: dict[str, bytes], name: str, times: int) -> None:
    """Nothing is said of them."""
    one = heard(tmp_path, files[name] * times)

    assert one.failure is None
    assert one.holes == []
    assert one.codes == []
    assert one.seconds == pytest.approx(times * SECONDS, abs=0.03)
