"""G.711 compared with libsndfile over all values, with ffmpeg if installed, and with the recommendation."""

from __future__ import annotations

import io
import shutil
import subprocess
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio import g711
from rt_cli.audio.g711 import Law

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAWS: tuple[Law, ...] = get_args(Law)
SUBTYPES = {"pcmu": "ULAW", "pcma": "ALAW"}
FFMPEG = {"pcmu": "mulaw", "pcma": "alaw"}
ALL_SAMPLES = np.arange(-32768, 32768).astype("<i2")
ALL_CODES = bytes(range(256))

laws = pytest.mark.parametrize("law", LAWS)


def codes(law: Law) -> NDArray[np.uint8]:
    """The code of every sample, from the lowest to the highest."""
    return np.frombuffer(g711.encode(ALL_SAMPLES, law), np.uint8)


def samples(data: bytes, law: Law) -> NDArray[np.int32]:
    """Decode codes."""
    return np.frombuffer(g711.decode(data, law), "<i2").astype(np.int32)


@laws
def test_decodes_like_libsndfile(law: Law) -> None:
    """Every code decodes to the same sample as in libsndfile."""
    expected, _ = soundfile.read(
        io.BytesIO(ALL_CODES), dtype="int16", samplerate=8000, channels=1, format="RAW", subtype=SUBTYPES[law]
    )
    assert samples(ALL_CODES, law).tolist() == expected.tolist()


@laws
def test_encodes_like_libsndfile(law: Law) -> None:
    """Every sample >= 0 has the code of libsndfile, which uses the two's complement for the others, unlike the ITU."""
    file = io.BytesIO()
    soundfile.write(file, ALL_SAMPLES, 8000, format="RAW", subtype=SUBTYPES[law])
    expected = np.frombuffer(file.getvalue(), np.uint8)

    assert codes(law)[32768:].tolist() == expected[32768:].tolist()


@laws
def test_both_halves_are_symmetric(law: Law) -> None:
    """The one's complement of a sample has the same code with the other sign. This covers the negative samples."""
    both = codes(law)

    assert (both[::-1] ^ 0x80).tolist() == both.tolist()


@laws
def test_ffmpeg_agrees(law: Law) -> None:
    """Ffmpeg decodes to the same values; its codes differ by at most one step, between two values."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("ffmpeg is not installed")

    def convert(data: bytes, *arguments: str) -> bytes:
        command = [ffmpeg, "-v", "error", "-ar", "8000", "-ac", "1", *arguments, "-"]
        return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout

    name = FFMPEG[law]
    assert convert(ALL_CODES, "-f", name, "-i", "-", "-f", "s16le") == g711.decode(ALL_CODES, law)
    theirs = np.frombuffer(convert(ALL_SAMPLES.tobytes(), "-f", "s16le", "-i", "-", "-f", name), np.uint8)
    differ = theirs != codes(law)
    ours, others = samples(codes(law)[differ].tobytes(), law), samples(theirs[differ].tobytes(), law)
    wanted = ALL_SAMPLES[differ].astype(np.int32)
    assert (np.minimum(ours, others) <= wanted).all()
    assert (wanted <= np.maximum(ours, others)).all()


@pytest.mark.parametrize(
    ("law", "sample", "code"),
    [
        ("pcmu", 0, 0xFF),
        ("pcmu", -1, 0x7F),
        ("pcmu", 32767, 0x80),
        ("pcmu", -32768, 0x00),
        ("pcmu", 4, 0xFE),
        ("pcmu", 31 * 4, 0xEF),
        ("pcmu", 95 * 4, 0xDF),
        ("pcmu", 4063 * 4, 0x8F),
        ("pcma", 0, 0xD5),
        ("pcma", -1, 0x55),
        ("pcma", 32767, 0xAA),
        ("pcma", -32768, 0x2A),
        ("pcma", 64 * 8, 0xF5),
        ("pcma", 2048 * 8, 0xA5),
    ],
)
def test_the_recommendation(law: Law, sample: int, code: int) -> None:
    """The decision values of tables 1 and 2 at 14 and 13 bits, and values beyond the last one."""
    assert g711.encode(np.array([sample], np.int16), law) == bytes([code])


@laws
def test_error(law: Law) -> None:
    """The error is at most half a step (1/32 of the sample) plus the cut bits."""
    error = np.abs(samples(codes(law).tobytes(), law) - ALL_SAMPLES)
    loud = np.abs(ALL_SAMPLES.astype(np.int32))

    assert (error <= loud / 32 + 16)[loud <= 32_635].all()


@laws
def test_order(law: Law) -> None:
    """Decoded values are monotonic in the sample."""
    assert (np.diff(samples(codes(law).tobytes(), law)) >= 0).all()


@laws
@given(st.binary(max_size=200))
def test_codes_survive(law: Law, data: bytes) -> None:
    """Decoding and encoding returns the same code, except for the negative zero of mu-law."""
    expected = data.replace(b"\x7f", b"\xff") if law == "pcmu" else data

    assert g711.encode(g711.decode(data, law), law) == expected


@laws
@given(st.lists(st.integers(-32768, 32767), max_size=50))
def test_bytes_and_arrays_are_equal(law: Law, values: list[int]) -> None:
    """encode() gives the same result for bytes and arrays, and for any split."""
    array = np.array(values, "<i2")

    assert g711.encode(array.tobytes(), law) == g711.encode(array, law)
    assert len(g711.decode(g711.encode(array, law), law)) == array.nbytes
