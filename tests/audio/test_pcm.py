"""Sample encodings: names, and values compared with libsndfile."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
import soundfile

from rt_cli.audio.pcm import SAMPLE_BYTES, PcmLayout, SampleFormat, decode, is_low_justified, parse_encoding
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
    "s8": "PCM_S8",
    "s16be": "PCM_16",
    "s24be": "PCM_24",
    "s32be": "PCM_32",
    "f32be": "FLOAT",
    "f64be": "DOUBLE",
}
FLOATS: dict[SampleFormat, str] = {"f32le": "<f4", "f64le": "<f8", "f32be": ">f4", "f64be": ">f8"}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("s16le", "s16le"),
        ("S16_LE", "s16le"),
        ("pcm_s16le", "s16le"),
        (" s16 ", "s16le"),
        ("s24le", "s24le"),
        ("S24_3LE", "s24le"),
        ("S24_LE", "s24_32le"),
        ("s24-32le", "s24_32le"),
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


@pytest.mark.parametrize("top", [0x00, 0xFF, 0x5A])
def test_24_bits_in_the_lower_three_bytes(top: int) -> None:
    """The upper byte of ALSA's S24_LE is no part of the sample, whatever a driver leaves there."""
    data = b"".join(value.to_bytes(3, "little", signed=True) + bytes([top]) for value in (-(1 << 22), 0, 1 << 21))

    assert decode(data, PcmLayout("s24_32le", 8000, 1))[:, 0].tolist() == [-0.5, 0, 0.25]


def test_64_bits() -> None:
    """64-bit integers have full scale at their largest value."""
    data = np.array([-(1 << 62), 0, 1 << 61], "<i8").tobytes()

    assert decode(data, PcmLayout("s64le", 8000, 1))[:, 0].tolist() == [-0.5, 0, 0.25]


@pytest.mark.parametrize(
    ("values", "low"),
    [
        ([1, -2, 300], True),
        ([1, 0xFFFFFE], True),
        ([1 << 28, -(1 << 29)], False),
        ([1 << 30, 255], None),
        ([0, 0], None),
    ],
)
def test_where_24_bits_are(values: list[int], low: bool | None) -> None:  # noqa: FBT001 - the expectation
    """Sign or zero in the upper byte, or zeros in the lowest one, show it; silence and anything else does not."""
    assert is_low_justified(np.array(values, "<i4").tobytes()) is low


@pytest.mark.parametrize("encoding", SUBTYPES)
def test_values_are_those_of_libsndfile(encoding: SampleFormat) -> None:
    """Random bytes decode to the samples of libsndfile; they include all 256 codes of the short encodings."""
    data = np.random.default_rng(5).integers(0, 256, 24 * 1000, dtype=np.uint8).tobytes()
    if encoding in FLOATS:
        data = np.random.default_rng(5).uniform(-1, 1, 1000).astype(FLOATS[encoding]).tobytes()
    expected, _ = soundfile.read(
        io.BytesIO(data),
        dtype="float32",
        format="RAW",
        subtype=SUBTYPES[encoding],
        samplerate=8000,
        channels=1,
        endian="BIG" if encoding.endswith("be") else "LITTLE",
    )

    assert np.array_equal(expected, decode(data, PcmLayout(encoding, 8000, 1))[:, 0])


def test_channels_are_columns() -> None:
    """Each frame is a row of its channels."""
    data = np.array([[300, 600, 900], [-3, 0, 3]], dtype="<i2").tobytes()

    assert (decode(data, PcmLayout("s16le", 8000, 3)) * 32768).tolist() == [[300, 600, 900], [-3, 0, 3]]


def test_every_encoding_has_a_size() -> None:
    """SAMPLE_BYTES has every encoding."""
    assert set(SAMPLE_BYTES) == set(get_args(SampleFormat))


def test_doubles_beyond_float_are_quiet() -> None:
    """A double beyond the range of float32 becomes infinity without a warning."""
    data = np.array([1e300, 0.5], dtype="<f8").tobytes()

    assert decode(data, PcmLayout("f64le", 8000, 1))[:, 0].tolist() == [np.inf, 0.5]
