"""recognise(): compressed and foreign input has a name, raw PCM has none."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.decode.recognise import HEAD_BYTES, recognise

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 24_000
NOISE = np.random.default_rng(8).uniform(-0.3, 0.3, 6 * RATE).astype(np.float32)


def encoded(kind: str, rate_hz: int = RATE) -> bytes:
    """Noise in a format of libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, NOISE, rate_hz, format=kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x20ftypM4A ", "MP4"),
        (b"\x1aE\xdf\xa3\x9f\x42\x86", "Matroska or WebM"),
        (b"#!AMR\n", "AMR"),
        (b"#!AMR-WB\n", "AMR"),
        (b"0&\xb2u\x8ef\xcf\x11\xa6\xd9", "WMA"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"RIFF\x10\0\0\0AVI LIST", "AVI"),
        (b"ID3\x03\0\0\0\0\0\0\xff\xfb", "MP3"),
        (b"ID3\x03\0\0\0\0\0\0fLaC", "FLAC"),
        ((b"G" + bytes(187)) * 20, "MPEG-TS"),
        ((bytes(4) + b"G" + bytes(187)) * 20, "MPEG-TS"),
        ((b"G" + bytes(187)) * 2 + bytes(188) + (b"G" + bytes(187)) * 20, "MPEG-TS"),
        (bytes(188) + (b"G" + bytes(187)) * 2, "MPEG-TS"),
        (b"<!DOCTYPE html><html><body>no such file", "text"),
        ("Grüße, this is no sound".encode(), "text"),
        (b'{"error": "not found", "code": 404}', "text"),
        ("this is no sound".encode("utf-16"), "text"),
    ],
)
def test_signatures(head: bytes, kind: str) -> None:
    """Each kind has its name."""
    assert recognise(head if kind == "text" else head.ljust(300, b"\0")) == kind


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 44_100])
@pytest.mark.parametrize("start", [0, 1, 700, 10_001])
def test_mp3_that_begins_anywhere(rate_hz: int, start: int) -> None:
    """Three headers in a row are MP3, also if the input begins within a frame."""
    assert recognise(encoded("MP3", rate_hz)[start:][:HEAD_BYTES]) == "MP3"


def pcm(kind: int, amplitude: int, seed: int) -> NDArray[np.int16]:
    """Sound of some kind: noise, a tone, noise at half the rate, a random walk."""
    rng = np.random.default_rng(seed)
    size = HEAD_BYTES // 2
    sound = rng.normal(0, amplitude / 3, size)
    if kind == 1:
        sound = amplitude * np.sin(np.arange(size) * rng.uniform(0.001, 1))
    if kind == 2:
        sound = np.repeat(sound[::2], 2)
    if kind == 3:
        sound = np.cumsum(sound / 10)
    return sound.clip(-32768, 32767).astype("<i2")


@given(st.integers(0, 3), st.sampled_from([0, 1, 2, 5, 30, 300, 3000, 32_767]), st.integers(0, 1 << 30))
def test_raw_pcm_is_nothing_else(kind: int, amplitude: int, seed: int) -> None:
    """Loud and quiet sound and silence are raw PCM, with and without a shift by a byte."""
    data = pcm(kind, amplitude, seed).tobytes()

    assert recognise(data) is None
    assert recognise(data[1:]) is None


@given(st.binary(max_size=200))
def test_any_bytes_have_a_name_or_none(data: bytes) -> None:
    """No input raises an error."""
    assert recognise(data) is None or isinstance(recognise(data), str)
