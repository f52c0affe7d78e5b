"""The blocks of a VOC (Creative Voice): whether the file has all of them, and what is behind the last."""

from __future__ import annotations

import os
from typing import BinaryIO, NamedTuple

_OFFSET_AT = 20
_TERMINATOR, _LAST_TYPE = 0, 9
_SILENCE, _REPEAT = 3, 6
_UNPLAYED = {_SILENCE, _REPEAT}
_HEAD_BYTES = 4
_FEW_BYTES = 64
"""Some programs count their blocks a few bytes too short."""
_MOST_BLOCKS = 10_000_000


class VocBlocks(NamedTuple):
    """What a walk over the blocks finds."""

    missing: int = 0
    """Bytes of the last block that are not there."""
    behind: int = 0
    """Bytes from the first block on that is none: behind the terminator, or where a damaged length leads."""
    unplayed: bool = False
    """There are blocks of silence, or that repeat others: libav leaves these out."""


def extent(file: BinaryIO) -> VocBlocks:
    """Walk the blocks of an open VOC."""
    unplayed = False
    size = file.seek(0, os.SEEK_END)
    file.seek(_OFFSET_AT)
    at = int.from_bytes(file.read(2), "little")
    for _ in range(_MOST_BLOCKS):
        file.seek(at)
        head = file.read(_HEAD_BYTES)
        if not head:
            break
        if head[0] == _TERMINATOR or head[0] > _LAST_TYPE:
            return VocBlocks(0, size - at if size - at > _FEW_BYTES else 0, unplayed)
        unplayed = unplayed or head[0] in _UNPLAYED
        at += _HEAD_BYTES + int.from_bytes(head[1:], "little")
        if len(head) < _HEAD_BYTES or at > size:
            return VocBlocks(max(at, size + 1) - size, 0, unplayed)
    return VocBlocks(unplayed=unplayed)
