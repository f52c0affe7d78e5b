"""Sample encodings: names, and values compared with libsndfile."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
import soundfile

from rt_cli.audio.pcm import SAMPLE_BYTES, PcmLayout, SampleFormat, decode, parse_encoding
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from rt_cli.settings import Encoding

SUBTYPES: dict[SampleFormat, str] = {
    "u8": "PCM_U8",
    "s16le": "PCM_16",
    "s24le": "PCM_24",
    "s32le": "PCM_32",
    "f32le": "FLOAT",
    "f64le": "DOUBLE",
    "mulaw": "ULAW",
    "alaw": "ALAW",
}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("s16le", "s16le"),
        ("S16_LE", "s16le"),
        ("pcm_s16le", "s16le"),
        (" s16 ", "s16le"),
        ("s24le", "s24le"),
        ("S24_3LE", "s24le"),
        ("pcm_s24le", "s24le"),
        ("S32_LE", "s32le"),
        ("pcm_s32le", "s32le"),
        ("f32le", "f32le"),
        ("FLOAT_LE", "f32le"),
        ("pcm_f32le", "f32le"),
        ("mulaw", "mulaw"),
        ("MU_LAW", "mulaw"),
        ("mu-law", "mulaw"),
        ("pcm_mulaw", "mulaw"),
        ("ulaw", "mulaw"),
        ("alaw", "alaw"),
        ("A_LAW", "alaw"),
        ("pcm_alaw", "alaw"),
    ],
)
def test_spellings(text: str, encoding: Encoding) -> None:
    """The names of ffmpeg and ALSA are understood."""
    assert encoding == parse_encoding(text)


@pytest.mark.parametrize("text", ["", "s16be", "mp3", "s8", "pcm_", "S16_BE"])
def test_unknown_names_are_refused(text: str) -> None:
    """An unknown encoding is a UsageError that lists the known ones."""
    with pytest.raises(UsageError, match="s16le"):
        parse_encoding(text)


def test_alsa_s24_is_not_ffmpegs() -> None:
    """ALSA's S24_LE (four bytes) is refused, because as s24le (three bytes) it would be noise."""
    with pytest.raises(UsageError, match="S24_3LE"):
        parse_encoding("S24_LE")


@pytest.mark.parametrize("encoding", get_args(SampleFormat))
def test_values_are_those_of_libsndfile(encoding: SampleFormat) -> None:
    """Random bytes decode to the samples of libsndfile; they include all 256 codes of the short encodings."""
    data = np.random.default_rng(5).integers(0, 256, 24 * 1000, dtype=np.uint8).tobytes()
    if encoding in {"f32le", "f64le"}:
        floats = np.random.default_rng(5).uniform(-1, 1, 1000)
        data = floats.astype("<f4" if encoding == "f32le" else "<f8").tobytes()
    expected, _ = soundfile.read(
        io.BytesIO(data),
        dtype="float32",
        format="RAW",
        subtype=SUBTYPES[encoding],
        samplerate=8000,
        channels=1,
        endian="LITTLE",
    )

    assert np.array_equal(expected, decode(data, PcmLayout(encoding, 8000, 1)))


def test_channels_are_averaged() -> None:
    """Three channels are averaged."""
    data = np.array([[300, 600, 900], [-3, 0, 3]], dtype="<i2").tobytes()

    assert list(decode(data, PcmLayout("s16le", 8000, 3)) * 32768) == pytest.approx([600, 0])


def test_every_encoding_has_a_size() -> None:
    """SAMPLE_BYTES has every encoding."""
    assert set(SAMPLE_BYTES) == set(get_args(SampleFormat))


def test_doubles_beyond_float_are_quiet() -> None:
    """A double beyond the range of float32 becomes infinity without a warning."""
    data = np.array([1e300, 0.5], dtype="<f8").tobytes()

    assert list(decode(data, PcmLayout("f64le", 8000, 1))) == [np.inf, 0.5]
