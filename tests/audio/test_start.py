"""A source that is heard from a later moment on."""

from __future__ import annotations

import asyncio
import itertools
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.source import Block, SourceInfo
from rt_cli.audio.start import started
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.source import Source

RATE = 100


class Blocks:
    """A source of blocks."""

    def __init__(self, *blocks: Block) -> None:
        self._blocks = blocks
        self.info = SourceInfo("talk.wav", "file", False, RATE, 1, 2.0)

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield them."""
        for block in self._blocks:
            yield block

    def stop(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""


def read(source: Source) -> list[Block]:
    """Return all blocks."""

    async def collect() -> list[Block]:
        return [block async for block in source.blocks()]

    return asyncio.run(asyncio.wait_for(collect(), 5))


def numbers(first: int, last: int) -> bytes:
    """PCM whose samples are their own numbers."""
    return struct.pack(f"<{last - first}h", *range(first, last))


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(0, 200))
def test_the_rest_is_what_is_behind_the_start(cuts: list[int], start: int) -> None:
    """To the sample, however the source is split into blocks; nothing there is an error."""
    ends = [sum(cuts[:at]) for at in range(len(cuts) + 1)]
    blocks = [Block(numbers(first, last)) for first, last in itertools.pairwise(ends)]
    source = started(Blocks(*blocks), start / RATE, RATE)
    if start > ends[-1]:
        with pytest.raises(AudioError, match=r"talk\.wav: ends before --start"):
            read(source)
    else:
        assert b"".join(block.pcm for block in read(source)) == numbers(start, ends[-1])


@pytest.mark.parametrize(
    ("start", "left"),
    [
        (0, [(0, 1), (10, 1), (20, 0)]),
        (1, [(10, 1), (20, 0)]),
        (5, [(6, 1), (20, 0)]),
        (11, [(0, 1), (20, 0)]),
        (12, [(20, 0)]),
        (13, [(19, 0)]),
        (32, []),
    ],
    ids=str,
)
def test_lost_sound_counts(start: int, left: list[tuple[int, int]]) -> None:
    """A hole before the start is left out, one across it becomes shorter. In samples lost and samples there."""
    source = Blocks(Block(numbers(0, 1)), Block(numbers(1, 2), 10, "damaged"), Block(b"", 20))

    assert [(block.lost, len(block.pcm) // 2) for block in read(started(source, start / RATE, RATE))] == left


@pytest.mark.parametrize(("pick", "first"), [("mix", 10), ("split", 20)])
def test_two_channels_are_left_out_together(pick: Pick, first: int) -> None:
    """A sample of a split source is one of each channel."""
    (block,) = read(started(Blocks(Block(numbers(0, 60))), 0.1, RATE, pick))

    assert block.pcm == numbers(first, 60)


def test_length_is_that_of_the_rest() -> None:
    """For the progress."""
    assert started(Blocks(), 0.5, RATE).info.duration_s == 1.5
    assert started(Blocks(), 5, RATE).info.duration_s == 0
