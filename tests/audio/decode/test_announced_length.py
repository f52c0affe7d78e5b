"""Files whose header counts less or more than is there, or that hold more than libav or libsndfile read."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
import soundfile

from rt_cli.audio.decode.files import open_file
from rt_cli.errors import AudioError
from tests.audio.decode.heard import WIRE, Heard, hear
from tests.media import write_media

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 4
SOUND = np.random.default_rng(5).integers(-9_000, 9_000, SECONDS * WIRE, dtype="<i2")
SIZE = 2 * len(SOUND)
VOC_HEAD = b"Creative Voice File\x1a\x1a\0\x14\x01\x1f\x11"
NIST_HEAD = (
    b"NIST_1A\n   1024\nsample_count -i %d\nsample_n_bytes -i 2\nchannel_count -i 1\n"
    b"sample_byte_format -s2 01\nsample_rate -i 24000\nsample_coding -s3 pcm\nend_head\n"
)
LENGTH_FIELDS = {"AU": (b".snd", 8, ">I", 0), "CAF": (b"data", 4, ">q", 4), "W64": (b"data", 16, "<q", 24)}
"""What is before the length of the sound, the distance, the layout, and what else it counts."""


def heard(folder: Path, name: str, data: bytes) -> Heard:
    """Read bytes as a file."""
    path = folder / name
    path.write_bytes(data)
    return hear(path)


def voc(sound: bytes, *, at: int = 30_000) -> bytes:
    """A VOC of two blocks."""
    first = struct.pack("<IBBHI", WIRE, 16, 1, 4, 0) + sound[:at]
    blocks = b"\x09" + len(first).to_bytes(3, "little") + first
    return VOC_HEAD + blocks + b"\x02" + len(sound[at:]).to_bytes(3, "little") + sound[at:] + b"\0"


def nist(sound: bytes, count: int = len(SOUND)) -> bytes:
    """A NIST SPHERE file."""
    return (NIST_HEAD % count).ljust(1024) + sound


@pytest.mark.parametrize("kind", ["AU", "CAF", "W64"])
@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.9])
def test_a_header_that_counts_too_little(tmp_path: Path, kind: str, share: float) -> None:
    """All that is there is heard, with a warning."""
    path = tmp_path / f"a.{kind.lower()}"
    soundfile.write(path, SOUND, WIRE, format=kind, subtype="PCM_16")
    data = path.read_bytes()
    mark, distance, layout, own = LENGTH_FIELDS[kind]
    at = data.index(mark) + distance
    length = round(SIZE * share) // 2 * 2
    one = heard(
        tmp_path, path.name, data[:at] + struct.pack(layout, length + own) + data[at + struct.calcsize(layout) :]
    )

    assert one.failure is None
    assert one.codes == ["length"]
    assert np.array_equal(one.sound[: len(SOUND)], SOUND)
    assert len(one.sound) - len(SOUND) < 100


def test_nist_by_its_count_of_samples(tmp_path: Path) -> None:
    """A cut file is said; one that counts too little is heard to its end, and so is a second file behind it."""
    whole = nist(SOUND.tobytes())
    cut = heard(tmp_path, "a.sph", whole[: 1024 + SIZE // 4])
    low, two = heard(tmp_path, "b.sph", nist(SOUND.tobytes(), 9)), heard(tmp_path, "c.sph", whole + whole)

    assert heard(tmp_path, "d.sph", whole).codes == []
    assert cut.codes == ["truncated"]
    assert cut.failure is not None
    assert cut.failure.message.endswith("ends at 1.0 s: 3.0 s more that its header announces are missing")
    assert (low.failure, low.codes) == (two.failure, two.codes) == (None, [])
    assert np.array_equal(low.sound, SOUND)
    assert np.array_equal(two.sound, np.tile(SOUND, 2))


def test_voc(tmp_path: Path) -> None:
    """The heads of blocks are no sound; a cut, another file behind it, and a damaged head are said."""
    data = voc(SOUND.tobytes())
    whole, cut, two = (heard(tmp_path, "a.voc", each) for each in (data, data[: SIZE // 2], data + data))
    damaged = heard(tmp_path, "a.voc", data.replace(b"\x02" + (SIZE - 30_000).to_bytes(3, "little"), b"\xff\1\2\3"))

    assert (whole.failure, whole.codes) == (None, [])
    assert np.array_equal(whole.sound, SOUND)
    assert cut.codes == ["truncated"]
    assert np.array_equal(cut.sound, SOUND[: len(cut.sound)])
    assert two.codes == damaged.codes == ["damaged"]
    assert np.array_equal(two.sound, SOUND)
    assert np.array_equal(damaged.sound, SOUND[:15_000])


def test_voc_with_silence(tmp_path: Path) -> None:
    """A block of silence, which libav leaves out, is said."""
    data = voc(SOUND.tobytes())
    at = data.index(b"\x02" + (SIZE - 30_000).to_bytes(3, "little"))
    one = heard(tmp_path, "a.voc", data[:at] + b"\x03\x03\0\0\xbf\x5d\xd7" + data[at:])

    assert (one.failure, one.codes) == (None, ["timestamps"])
    assert np.array_equal(one.sound, SOUND)


def test_mp3_in_a_wav_that_is_cut(tmp_path: Path) -> None:
    """The length of the data chunk is an announcement."""
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        track = container.add_stream("libmp3lame", rate=WIRE, layout="mono")
        frame = av.AudioFrame.from_ndarray(SOUND[None, :], format="s16", layout="mono")
        frame.sample_rate = WIRE
        resampler = av.AudioResampler("s16p", "mono", WIRE, frame_size=576)
        for each in (*resampler.resample(frame), *resampler.resample(None), None):
            container.mux(track.encode(each))
    data = path.read_bytes()
    assert hear(path).failure is None
    cut = heard(tmp_path, "b.wav", data[: len(data) // 2])

    assert cut.codes == ["truncated"]
    assert cut.failure is not None
    assert f"{len(data) - len(data) // 2} bytes that its header announces are missing" in cut.failure.message
    assert 1.7 < cut.seconds < 2.1


def test_a_damaged_block_of_wavpack_is_a_hole(tmp_path: Path) -> None:
    """Its checksum shows the damage."""
    path = write_media(tmp_path / "a.wv", np.tile(SOUND, 2)[:, None], WIRE, codec="wavpack")
    whole, data = hear(path), bytearray(path.read_bytes())
    starts = [at for at in range(len(data)) if data[at : at + 4] == b"wvpk"]
    before, samples = struct.unpack_from("<II", data, starts[1] + 16)
    data[starts[1] + 1000] ^= 0xFF
    one = heard(tmp_path, "b.wv", bytes(data))

    assert whole.holes == []
    assert one.holes == [(before / WIRE, (before + samples) / WIRE)]
    outside = np.r_[0 : before - 100, before + samples + 100 : 2 * len(SOUND)]
    assert np.abs(one.sound[outside].astype(int) - whole.sound[outside]).max() <= 1


def test_flv_that_is_cut_or_damaged(tmp_path: Path) -> None:
    """A cut shows by the duration; a tag of another codec in the middle is damage and no track."""
    path = write_media(tmp_path / "a.flv", SOUND[:, None], 44_100, codec="aac")
    data = path.read_bytes()
    cut = heard(tmp_path, "b.flv", data[: len(data) // 2])
    at = data.index(b"\xaf\x01", len(data) // 3)
    damaged = heard(tmp_path, "c.flv", data[:at] + b"\x3e" + data[at + 1 :])

    assert hear(path).codes == []
    assert cut.codes == ["truncated"]
    assert damaged.codes[-1] == "damaged"
    assert damaged.failure is not None


def test_alac_of_two_joined_files(tmp_path: Path) -> None:
    """What libav does not read behind the first CAF is said."""
    data = write_media(tmp_path / "a.caf", SOUND[:, None], WIRE, codec="alac").read_bytes()
    one = heard(tmp_path, "b.caf", data + data)

    assert one.codes == ["damaged"]
    assert one.failure is not None
    assert f"{len(data)} bytes behind the sound cannot be read" in one.failure.message


def test_voc_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused: libsndfile would play the heads of its blocks."""
    monkeypatch.setitem(sys.modules, "rt_cli.audio.decode.av_file", None)
    path = tmp_path / "a.voc"
    path.write_bytes(voc(SOUND.tobytes()))
    with pytest.raises(AudioError, match="VOC cannot be read") as caught:
        open_file(path, wire_rate_hz=WIRE)
    assert "ffmpeg -i" in str(caught.value.hint)
