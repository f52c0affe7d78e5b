"""StreamDecoder: the output does not depend on the split, and damage raises only AudioError."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rt_cli.audio.decode.stream_decoder import ForeignFormatError, StreamDecoder
from rt_cli.audio.pcm import SAMPLE_BYTES, PcmLayout, SampleFormat
from rt_cli.errors import AudioError

WIRE = 24_000
RAW = PcmLayout("s16le", WIRE, 1)
TAGS: dict[SampleFormat, int] = {
    "u8": 1,
    "s16le": 1,
    "s24le": 1,
    "s32le": 1,
    "f32le": 3,
    "f64le": 3,
    "alaw": 6,
    "mulaw": 7,
}
SAMPLES = np.random.default_rng(6).integers(-20_000, 20_000, 500, dtype="<i2")
SOUND = SAMPLES.tobytes()


def chunk(name: bytes, body: bytes, length: int | None = None) -> bytes:
    """A RIFF chunk, padded to an even length."""
    return name + struct.pack("<I", len(body) if length is None else length) + body + bytes(len(body) % 2)


def fmt(encoding: SampleFormat = "s16le", rate_hz: int = WIRE, channels: int = 1, *, extensible: bool = False) -> bytes:
    """A format chunk."""
    width = SAMPLE_BYTES[encoding]
    tag = TAGS[encoding]
    frame = width * channels
    body = struct.pack(
        "<HHIIHH", 0xFFFE if extensible else tag, channels, rate_hz, rate_hz * frame % 2**32, frame, width * 8
    )
    if extensible:
        guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
        body += struct.pack("<HHI", 22, width * 8, 0) + guid
    return chunk(b"fmt ", body)


def riff(*chunks: bytes, magic: bytes = b"RIFF", length: int = 0) -> bytes:
    """A WAV of chunks."""
    return magic + struct.pack("<I", length) + b"WAVE" + b"".join(chunks)


def ds64(length: int) -> bytes:
    """The chunk that holds 64-bit lengths."""
    return chunk(b"ds64", struct.pack("<QQQI", length + 72, length, 0, 0))


WAVS = {
    "plain": riff(fmt(), chunk(b"data", SOUND)),
    "length-0": riff(fmt(), chunk(b"data", SOUND, 0)),
    "length-ffffffff": riff(fmt(), chunk(b"data", SOUND, 0xFFFFFFFF)),
    "length-7ffff000": riff(fmt(), chunk(b"data", SOUND, 0x7FFFF000)),
    "length-too-large": riff(fmt(), chunk(b"data", SOUND, len(SOUND) + 5000)),
    "chunks-before": riff(chunk(b"LIST", b"odd"), fmt(), chunk(b"bext", bytes(602)), chunk(b"data", SOUND)),
    "chunks-after": riff(fmt(), chunk(b"data", SOUND), chunk(b"LIST", b"not sound" * 20)),
    "extensible": riff(fmt(extensible=True), chunk(b"data", SOUND)),
    "rf64": riff(ds64(len(SOUND)), fmt(), chunk(b"data", SOUND, 0xFFFFFFFF), chunk(b"LIST", b"x"), magic=b"RF64"),
    "rf64-streamed": riff(ds64(0), fmt(), chunk(b"data", SOUND, 0xFFFFFFFF), magic=b"RF64"),
    "bw64": riff(ds64(len(SOUND)), fmt(), chunk(b"data", SOUND, 0xFFFFFFFF), magic=b"BW64"),
}


def read(data: bytes, cuts: list[int] | None = None, raw: PcmLayout = RAW) -> bytes:
    """Decode ``data`` in pieces."""
    decoder = StreamDecoder(raw, WIRE)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts or []), len(data)]
    pcm = b"".join(decoder.push(data[start:end]) for start, end in itertools.pairwise(edges))
    return pcm + decoder.finish()


@pytest.mark.parametrize("name", WAVS)
def test_every_header(name: str) -> None:
    """With any chunks around the audio and any stated length, exactly the audio is read."""
    assert read(WAVS[name]) == SOUND


@pytest.mark.parametrize("name", WAVS)
def test_byte_by_byte(name: str) -> None:
    """A header can arrive one byte at a time."""
    assert read(WAVS[name], list(range(len(WAVS[name])))) == SOUND


@given(name=st.sampled_from(sorted(WAVS)), cuts=st.lists(st.integers(0, 2000), max_size=10))
def test_split_does_not_matter(name: str, cuts: list[int]) -> None:
    """Pieces of any size give the same output."""
    assert read(WAVS[name], cuts) == SOUND


@pytest.mark.parametrize("encoding", TAGS)
@pytest.mark.parametrize("extensible", [False, True], ids=["plain", "extensible"])
def test_every_encoding_and_two_channels(encoding: SampleFormat, *, extensible: bool) -> None:
    """A WAV of each encoding gives the same output as raw PCM of that layout."""
    layout = PcmLayout(encoding, 16_000, 2)
    body = bytes(np.random.default_rng(7).integers(0, 100, 2 * SAMPLE_BYTES[encoding] * 300, dtype=np.uint8))
    wav = riff(fmt(encoding, 16_000, 2, extensible=extensible), chunk(b"data", body))

    assert len(read(wav)) == 2 * 450
    assert read(body, raw=layout) == read(wav)


def test_layout_is_known_from_the_header() -> None:
    """The header overrides the layout for raw PCM."""
    decoder = StreamDecoder(RAW, WIRE)
    decoder.push(riff(fmt("s24le", 44_100, 2), chunk(b"data", bytes(6))))

    assert PcmLayout("s24le", 44_100, 2) == decoder.layout


@given(cuts=st.lists(st.integers(0, 1000), max_size=10), tail=st.integers(0, 5))
def test_raw_pcm_of_any_split(cuts: list[int], tail: int) -> None:
    """Raw PCM passes unchanged; an incomplete frame at the end is counted."""
    layout = PcmLayout("s16le", WIRE, 3)
    data = (SOUND[: 6 * 160]) + bytes(tail)
    decoder = StreamDecoder(layout, WIRE)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pcm = b"".join(decoder.push(data[start:end]) for start, end in itertools.pairwise(edges))

    assert len(pcm + decoder.finish()) == 2 * 160
    assert tail == decoder.tail_bytes


def test_raw_pcm_shorter_than_a_magic() -> None:
    """Input of a single sample is raw PCM."""
    assert SOUND[:2] == read(SOUND[:2])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"RIFF\0\0\0\0AVI LIST", "AVI"),
        (b"RIFF\0\0\0\0WEBP", "is none"),
        (riff(chunk(b"data", SOUND)), "no format"),
        (riff(chunk(b"fmt ", b"short")), "cut short"),
        (riff(b"fmt \xff\xff\xff\x7f"), "damaged"),
        (riff(fmt(channels=0)), "0 channels"),
        (riff(fmt(rate_hz=0), chunk(b"data", SOUND)), "0 Hz"),
        (riff(fmt(rate_hz=2**32 - 1), chunk(b"data", SOUND)), "Hz"),
        (riff(chunk(b"fmt ", struct.pack("<HHIIHH", 2, 1, 8000, 8000, 256, 4))), "0x0002"),
        (riff(fmt())[:30], "cut off"),
        (riff(fmt()), "cut off"),
        (b"RIFF", "cut off"),
        (b"fLaC" + bytes(100), "FLAC"),
        (b"OggS" + bytes(100), "Ogg"),
        (b"ID3\x04" + bytes(100), "MP3"),
    ],
)
def test_invalid_input_is_an_error(data: bytes, says: str) -> None:
    """Each kind of invalid input has its own error message."""
    with pytest.raises(AudioError, match=says):
        read(data)


@given(
    name=st.sampled_from(sorted(WAVS)),
    flips=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 255)), min_size=1, max_size=8),
    end=st.integers(0, 2000),
)
@example(name="plain", flips=[(0, 0)], end=2000)
@settings(max_examples=300, deadline=None)
def test_damage_gives_samples_or_audio_error(name: str, flips: list[tuple[int, int]], end: int) -> None:
    """Any header bytes give whole samples or AudioError."""
    data = bytearray(WAVS[name][:end])
    for at, value in flips:
        if at < len(data):
            data[at] = value
    try:
        pcm = read(bytes(data))
    except AudioError:
        return
    assert len(pcm) % 2 == 0


@pytest.mark.parametrize("text", [b"Not found\n", b'{"error":"no such file"}', "für später".encode()])
def test_short_text_is_no_sound(text: bytes) -> None:
    """What a server says in place of sound; with an explicit encoding it is sound."""
    decoder = StreamDecoder(PcmLayout("s16le", 24_000, 1), 24_000)
    decoder.push(text)
    with pytest.raises(ForeignFormatError, match="the input is text, not PCM or WAV"):
        decoder.finish()

    stated = StreamDecoder(PcmLayout("s16le", 24_000, 1), 24_000, recognised=False)
    assert stated.push(text) + stated.finish() == text[: len(text) // 2 * 2]


@pytest.mark.parametrize("pcm", [b"ab", b"abcdef", b"abcdefgh\0\0", b"\xff\xfeabcdefgh"])
def test_few_samples_are_sound(pcm: bytes) -> None:
    """Too few to be a message, or no text."""
    decoder = StreamDecoder(PcmLayout("s16le", 24_000, 1), 24_000)
    assert decoder.push(pcm) + decoder.finish() == pcm
