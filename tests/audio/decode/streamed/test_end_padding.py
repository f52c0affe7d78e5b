"""The padding at the end of an MP3: off where the count is right, left where it is not."""

from __future__ import annotations

import pytest

from rt_cli.audio.decode.streamed.end_padding import EndPadding

RATE = 24_000
DELAY, PADDING, FRAMES, SAMPLES = 576, 1000, 5, 576
WHOLE = FRAMES * SAMPLES - DELAY - 529
SOUND = FRAMES * SAMPLES - DELAY - PADDING


def head(*, trims: bool = True) -> bytes:
    """An info frame of LAME, MPEG 2, 24 kHz, mono, and a frame behind it."""
    frame = bytearray(bytes.fromhex("fff364c4") + bytes(140))
    frame[13:17] = b"Info"
    frame[17:21] = (1).to_bytes(4, "big")
    frame[21:25] = FRAMES.to_bytes(4, "big")
    if trims:
        frame[25:29] = b"LAME"
        frame[46:49] = (DELAY << 12 | PADDING).to_bytes(3, "big")
    return bytes(frame) + bytes.fromhex("fff364c4") + bytes(140)


@pytest.mark.parametrize("piece", [1, 100, 10_000])
@pytest.mark.parametrize(
    ("decoded", "kept"),
    [
        pytest.param(WHOLE, SOUND, id="as announced"),
        pytest.param(WHOLE - 1, SOUND, id="rounded"),
        pytest.param(WHOLE - SAMPLES, WHOLE - SAMPLES, id="a frame less: cut, so what is there is sound"),
        pytest.param(WHOLE + SAMPLES, WHOLE + SAMPLES, id="a frame more"),
        pytest.param(0, 0, id="nothing"),
    ],
)
def test_table(decoded: int, kept: int, piece: int) -> None:
    """The rest is what came, in order."""
    pcm = b"".join((number % 30_000).to_bytes(2, "little") for number in range(decoded))
    padding = EndPadding(RATE)
    padding.see(head())
    parts = [padding.push(pcm[at : at + 2 * piece]) for at in range(0, len(pcm), 2 * piece)]
    heard = b"".join(parts) + padding.end()

    assert heard == pcm[: 2 * kept]


@pytest.mark.parametrize("first", [b"", b"no frame at all", head(trims=False)], ids=["empty", "other", "no trims"])
def test_nothing_is_held_without_a_count(first: bytes) -> None:
    """Everything passes."""
    padding = EndPadding(RATE)
    padding.see(first)
    assert padding.push(bytes(8000)) + padding.end() == bytes(8000)
