"""Frames of rt, parsed as RFC 6455 says and compared with those of the library."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.utils import apply_mask

from rt_cli.streaming.transport.frames import Framer


def unframe(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """Return opcode, mask key and payload of each frame, as RFC 6455 section 5.2 says."""
    frames, at = [], 0
    while at < len(data):
        assert data[at] & 0xF0 == 0x80, "FIN set, no reserved bit"
        assert data[at + 1] & 0x80, "masked"
        opcode, size, start = data[at] & 0x0F, data[at + 1] & 0x7F, at + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size, start = int.from_bytes(data[start : start + width], "big"), start + width
            assert size > (125 if width == 2 else 65535), "the shortest length"
        key, end = data[start : start + 4], start + 4 + size
        frames.append((opcode, key, apply_mask(data[start + 4 : end], key)))
        at = end
    return frames


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_every_length_is_read_back(size: int) -> None:
    """Each of the three forms of a length, at its limits."""
    message = bytes(index % 251 for index in range(size))
    [(opcode, _, payload)] = unframe(Framer(apply_mask).frames([message]))
    assert (opcode, payload) == (Opcode.TEXT, message)


@given(st.lists(st.binary(max_size=300), max_size=20))
@settings(max_examples=50)
def test_frames_follow_each_other(messages: list[bytes]) -> None:
    """Several frames in one write are parsed in order."""
    framer = Framer(apply_mask)
    data = framer.frames(messages)
    assert [payload for _, _, payload in unframe(data)] == messages


def test_frames_equal_those_of_the_library() -> None:
    """Byte by byte, except for the key."""
    framer = Framer(apply_mask)
    for opcode, data in ((Opcode.TEXT, framer.frames([b"abc" * 100])), (Opcode.PING, framer.frames([], b"12345678"))):
        [(_, key, payload)] = unframe(data)
        ours = data[: -len(payload) - 4]
        assert Frame(opcode, payload).serialize(mask=True, extensions=[])[: len(ours)] == ours
        assert data.endswith(apply_mask(payload, key))


def test_no_key_is_used_twice() -> None:
    """Also across the blocks of random bytes."""
    framer = Framer(apply_mask)
    keys = [unframe(framer.frames([b"x"]))[0][1] for _ in range(1000)]
    assert len(set(keys)) > 990, "of four random bytes, two in a thousand are hardly ever alike"
