"""WebSocket frames as clients write them (RFC 6455 section 5.2). Pure but for the mask keys, which are random."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from rt_cli.protocol.message import Binary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_KEYS_AT_ONCE = 256
_FIN_TEXT, _FIN_BINARY, _FIN_PING, _FIN_PONG = 0x81, 0x82, 0x89, 0x8A
_MASKED = 0x80
_SHORT, _MEDIUM = 126, 1 << 16
_SHORT_HEAD, _MEDIUM_HEAD, _LONG_HEAD = struct.Struct("!BB"), struct.Struct("!BBH"), struct.Struct("!BBQ")


def is_pong(frame: bytes) -> bool:
    """Return whether these bytes are a pong frame."""
    return frame[:1] == bytes([_FIN_PONG])


class Framer:
    """Frames whole messages; each frame has its own unpredictable mask key.

    Args:
        mask: Combines a payload with a key of four bytes.
    """

    def __init__(self, mask: Callable[[bytes, bytes], bytes]) -> None:
        self._mask = mask
        self._keys = b""
        self._at = 0

    def frames(self, messages: Sequence[bytes], ping: bytes | None = None) -> bytes:
        """Return the frames of messages in order.

        Args:
            messages: UTF-8 of text, or ``Binary``; each shorter than 2^63 bytes.
            ping: Payload of a ping after them, at most 125 bytes; the pong returns it. None for no ping.
        """
        parts: list[bytes] = []
        for message in messages:
            key = self._key()
            kind = _FIN_BINARY if isinstance(message, Binary) else _FIN_TEXT
            parts += (_head(kind, len(message)), key, self._mask(message, key))
        if ping is not None:
            key = self._key()
            parts += (_head(_FIN_PING, len(ping)), key, self._mask(ping, key))
        return b"".join(parts)

    def _key(self) -> bytes:
        # One system call per key would cost more than the rest of a frame.
        if self._at == len(self._keys):
            self._keys, self._at = os.urandom(4 * _KEYS_AT_ONCE), 0
        self._at += 4
        return self._keys[self._at - 4 : self._at]


def _head(opcode: int, size: int) -> bytes:
    if size < _SHORT:
        return _SHORT_HEAD.pack(opcode, _MASKED | size)
    if size < _MEDIUM:
        return _MEDIUM_HEAD.pack(opcode, _MASKED | 126, size)
    return _LONG_HEAD.pack(opcode, _MASKED | 127, size)
