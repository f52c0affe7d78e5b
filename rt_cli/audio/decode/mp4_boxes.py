"""The outer boxes of an MP4 or M4A: whether all are there, which comes first, and whether another file follows."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

_HEAD = struct.Struct(">I4s")
_LONG = struct.Struct(">Q")
_MOST_BOXES = 1_000_000


def extent(file: BinaryIO) -> tuple[int, int]:
    """Walk the outer boxes.

    Args:
        file: An open file.

    Returns:
        Bytes of the last box that are missing, and bytes from a second file type box on, which begins another file.
    """
    size = file.seek(0, os.SEEK_END)
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(_HEAD.size + _LONG.size)
        if len(head) < _HEAD.size:
            break
        length, name = _HEAD.unpack_from(head)
        if not name.isalnum():
            break  # anything that a program wrote behind the boxes
        if name == b"ftyp" and at:
            return 0, size - at
        if length == 1 and len(head) == _HEAD.size + _LONG.size:
            length = _LONG.unpack_from(head, _HEAD.size)[0]
        if length < _HEAD.size:  # 0: up to the end of the file
            break
        at += length
        if at > size:
            return at - size, 0
    return 0, 0


def index_is_first(head: bytes) -> bool | None:
    """Return whether the index (``moov``) stands before the sound (``mdat``); None if more bytes are needed to know.

    Args:
        head: The beginning of the file.
    """
    at = 0
    while at + _HEAD.size <= len(head):
        length, name = _HEAD.unpack_from(head, at)
        if name in {b"moov", b"mdat"}:
            return bool(name == b"moov")
        if length == 1 and at + _HEAD.size + _LONG.size <= len(head):
            length = _LONG.unpack_from(head, at + _HEAD.size)[0]
        if length < _HEAD.size:
            return False
        at += length
    return None
