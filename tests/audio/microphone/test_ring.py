"""The ring counts every byte that it loses."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.microphone.ring import Ring

CAPACITY = 16
FRAME = 2
EVERYTHING = 1 << 20


def drain(ring: Ring, limit: int = EVERYTHING) -> list[tuple[int, bytes]]:
    """All unread data, with the loss before each part."""
    stretches = []
    while (stretch := ring.read(limit)) != (0, b""):
        stretches.append(stretch)
    return stretches


def test_bytes_are_read_in_order() -> None:
    """Written bytes are read in order."""
    ring = Ring(CAPACITY)
    ring.write(memoryview(b"ab"))
    ring.write(memoryview(b"cdef"))

    assert drain(ring) == [(0, b"abcdef")]


def test_empty_ring() -> None:
    """An empty ring returns no bytes and no loss."""
    assert Ring(CAPACITY).read(EVERYTHING) == (0, b"")


def test_wraps() -> None:
    """A block across the end of the memory is read completely, in two parts."""
    ring = Ring(CAPACITY)
    ring.write(memoryview(bytes(12)))
    drain(ring)
    ring.write(memoryview(b"abcdefgh"))

    assert drain(ring) == [(0, b"abcd"), (0, b"efgh")]


def test_full_ring_refuses_the_whole_block() -> None:
    """A block that does not fit is lost as a whole."""
    ring = Ring(CAPACITY)
    ring.write(memoryview(bytes(12)))

    assert not ring.write(memoryview(b"abcdef"))
    assert ring.waiting == 12


def test_loss_is_reported_at_its_position() -> None:
    """A loss is reported between the data before and the data after it."""
    ring = Ring(CAPACITY)
    ring.write(memoryview(b"aaaaaaaa"))
    ring.write(memoryview(b"bbbbbbbbbb"))
    ring.write(memoryview(b"cccccccccc"))
    ring.write(memoryview(b"dddd"))

    assert drain(ring) == [(0, b"aaaaaaaa"), (20, b"dddd")]


def test_loss_at_the_end_is_reported() -> None:
    """A loss at the end is reported when the ring is empty, and only once."""
    ring = Ring(CAPACITY)
    ring.lose(6)

    assert ring.read(EVERYTHING) == (6, b"")
    ring.write(memoryview(b"ab"))
    assert drain(ring) == [(0, b"ab")]


def test_limit_is_kept() -> None:
    """No read returns more than ``limit`` bytes."""
    ring = Ring(CAPACITY)
    ring.write(memoryview(b"abcdef"))

    assert drain(ring, 4) == [(0, b"abcd"), (0, b"ef")]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 10)),
        st.tuples(st.just("lose"), st.integers(1, 10)),
        st.tuples(st.just("read"), st.integers(1, 10)),
    ),
    max_size=60,
)


@given(steps)
def test_every_byte_is_read_or_counted(schedule: list[tuple[str, int]]) -> None:
    """In any interleaving each position is read once, in order, or lies in a hole of the right length."""
    ring = Ring(CAPACITY)
    offered = position = 0

    def check(lost: int, data: bytes) -> None:
        nonlocal position
        position += lost
        assert data == bytes((position + i) % 251 for i in range(len(data)))
        position += len(data)

    for step, frames in schedule:
        size = frames * FRAME
        if step == "read":
            check(*ring.read(size))
            continue
        if step == "write":
            ring.write(memoryview(bytes((offered + i) % 251 for i in range(size))))
        else:
            ring.lose(size)
        offered += size
    for stretch in drain(ring):
        check(*stretch)

    assert position == offered


@pytest.mark.parametrize("blocks", [20_000], ids="{} blocks".format)
def test_two_threads_agree(blocks: int) -> None:
    """A writer that never waits and a reader in another thread account for every byte."""
    ring = Ring(64)
    finished = threading.Event()

    def write() -> None:
        for number in range(blocks):
            ring.write(memoryview(number.to_bytes(4, "big") * 2))
        finished.set()

    writer = threading.Thread(target=write)
    writer.start()
    position = 0
    over = False
    while True:
        ended = finished.is_set()
        lost, data = ring.read(8)
        position += lost // 8
        if data:
            assert data == position.to_bytes(4, "big") * 2
            position += 1
        over = ended and not data and not lost
        if over:
            break
    writer.join(10)

    assert position == blocks
