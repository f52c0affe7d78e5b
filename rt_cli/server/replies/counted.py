"""Replier whose samples spell their own numbers, so that a test can prove which of them were played.

The upper 11 bits of a sample are its position modulo 2048, the lower 5 bits are a digit from 1 to 31: no sample is 0,
which is silence. Four neighbours hold the four digits of a number to the base 31, the lowest where the position is a
multiple of 4; each digit counts from 0 once 1 is subtracted. This number is that of the reply (modulo 200) times 4096,
plus the position divided by 2048. So four samples in a row tell the reply and the position of each. After 8,388,608
samples, which is 349 s, the positions of a reply start again at 0.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rt_cli.audio.format import to_samples
from rt_cli.server.replies.interface import OUTPUT_RATE_HZ, PIECE_MS, Audio, Part, Replier, ReplyRequest, Text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from numpy.typing import NDArray

    _Samples = NDArray[np.int64]

MS_PER_CHARACTER = 60
"""Length of the sound of one character, about the pace of speech."""
REPLIES = 200
"""Numbers of replies before they start again at 0."""
_DIGIT_BITS, _DIGITS, _BASE = 5, 4, 31
_CYCLE = 1 << 16 - _DIGIT_BITS
_BLOCKS = 4096
_SHORTEST = 8
_PIECE = to_samples(PIECE_MS, OUTPUT_RATE_HZ)
_WORD = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True, slots=True)
class CountedRun:
    """Consecutive samples of one reply, found in a recording."""

    at: int
    """Position in the recording, in samples."""
    reply: int
    """Number of the reply, 0 to 199: the first reply of a server is 1."""
    first: int
    """Position of the first sample in the reply."""
    samples: int


def spell(reply: int, first: int, samples: int) -> bytes:
    """Return s16le of ``samples`` samples of a reply, from position ``first`` on.

    Args:
        reply: Number of the reply, taken modulo 200.
        first: Position in samples, taken modulo 8,388,608.
        samples: At least 0.
    """
    return _spelled(reply, first, samples).astype("<u2").tobytes()


def _spelled(reply: int, first: int, samples: int) -> _Samples:
    position = np.arange(first, first + samples, dtype=np.int64)
    word = reply % REPLIES * _BLOCKS + position // _CYCLE % _BLOCKS
    digit = word // _BASE ** (position % _DIGITS) % _BASE + 1
    return position % _CYCLE << _DIGIT_BITS | digit


def find_runs(pcm: bytes) -> list[CountedRun]:
    """Return the runs of counted samples in a recording, in the order of the recording.

    Samples outside of all runs are of no reply, or fewer than eight in a row, as may occur in any sound.

    Args:
        pcm: s16le at 24 kHz, exactly as received: neither resampled nor faded.
    """
    heard = np.frombuffer(pcm, "<u2").astype(np.int64)
    legible = _legible(heard)
    runs: list[CountedRun] = []
    end = index = 0
    while index < len(legible):
        at = int(legible[index])
        reply, first = _read(heard[at : at + _DIGITS])
        samples = _agreement(heard[at:], reply, first)
        before = _agreement_before(heard[end:at], reply, first)
        if samples + before < _SHORTEST:  # also if the four are on both sides of a multiple of _CYCLE
            index += 1
            continue
        runs.append(CountedRun(at - before, reply, first - before, samples + before))
        end = at + samples
        index = int(np.searchsorted(legible, end))
    return runs


def _legible(heard: _Samples) -> _Samples:
    """Positions at which four samples count up, which silence and other sounds rarely do."""
    counts_up = np.diff(heard >> _DIGIT_BITS) % _CYCLE == 1
    return np.flatnonzero(counts_up[:-2] & counts_up[1:-1] & counts_up[2:])


def _read(four: _Samples) -> tuple[int, int]:
    """Return the reply, and the position of the first of four samples, if they are of one block."""
    offset = int(four[0]) >> _DIGIT_BITS
    digits = four & (1 << _DIGIT_BITS) - 1
    word = sum((int(digit) - 1) * _BASE ** ((offset + index) % _DIGITS) for index, digit in enumerate(digits))
    return word // _BLOCKS, word % _BLOCKS * _CYCLE + offset


def _agreement(heard: _Samples, reply: int, first: int) -> int:
    """Number of samples from the start that are those of the reply from ``first`` on."""
    for start in range(0, len(heard), _CYCLE):
        part = heard[start : start + _CYCLE]
        wrong = np.flatnonzero(part != _spelled(reply, first + start, len(part)))
        if len(wrong):
            return start + int(wrong[0])
    return len(heard)


def _agreement_before(heard: _Samples, reply: int, first: int) -> int:
    """Number of samples at the end that are those of the reply before ``first``: those of the block before."""
    longest = min(len(heard), first, _DIGITS - 1)
    right = heard[len(heard) - longest :] == _spelled(reply, first - longest, longest)
    return next((count for count, is_right in enumerate(right[::-1]) if not is_right), longest)


@asynccontextmanager
async def open_counted(author: Replier) -> AsyncIterator[Replier]:
    """Open a replier that says the text of ``author`` in counted samples."""
    yield Counted(author)


class Counted:
    """Says the text of another replier, 60 ms for each character, in samples that spell their numbers."""

    def __init__(self, author: Replier) -> None:
        self._author = author
        self._numbers = itertools.count(1)
        self.needs_words = author.needs_words
        self.notice = author.notice

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """Yield the author's parts; the text word by word, each with its audio after it."""
        number, position = next(self._numbers), 0
        async with aclosing(self._author.reply(request)) as parts:
            async for part in parts:
                if not isinstance(part, Text) or not request.with_audio:
                    yield part
                    continue
                for word in _WORD.findall(part.delta):
                    yield Text(word)
                    end = position + to_samples(len(word) * MS_PER_CHARACTER, OUTPUT_RATE_HZ)
                    for first in range(position, end, _PIECE):
                        yield Audio(spell(number, first, min(_PIECE, end - first)))
                    position = end
                    await asyncio.sleep(0)  # let other sessions run during a long text
