"""WebSocket frames as clients write them (RFC 6455 section 5.2). Pure but for the mask keys, which are random."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_KEYS_AT_ONCE = 256
_FIN_TEXT, _FIN_PING = 0x81, 0x89
_MASKED = 0x80
_SHORT, _MEDIUM = 126, 1 << 16


class Framer:
    """Frames whole messages; each has a mask key of its own, that nobody can predict.

    Args:
        mask: Combines a payload with a key of four bytes.
    """

    def __init__(self, mask: Callable[[bytes, bytes], bytes]) -> None:
        self._mask = mask
        self._keys = b""
        self._at = 0

    def text(self, message: bytes) -> bytes:
        """The frame of a text message.

        Args:
            message: UTF-8, shorter than 2^63 bytes.
        """
        return self._frame(_FIN_TEXT, message)

    def ping(self, payload: bytes) -> bytes:
        """The frame of a ping; ``payload`` has at most 125 bytes, and the pong brings it back."""
        return self._frame(_FIN_PING, payload)

    def _frame(self, head: int, payload: bytes) -> bytes:
        size = len(payload)
        if size < _SHORT:
            header = struct.pack("!BB", head, _MASKED | size)
        elif size < _MEDIUM:
            header = struct.pack("!BBH", head, _MASKED | 126, size)
        else:
            header = struct.pack("!BBQ", head, _MASKED | 127, size)
        key = self._key()
        return b"".join((header, key, self._mask(payload, key)))

    def _key(self) -> bytes:
        # Asking the system for each would cost more than all the rest of a frame.
        if self._at == len(self._keys):
            self._keys, self._at = os.urandom(4 * _KEYS_AT_ONCE), 0
        self._at += 4
        return self._keys[self._at - 4 : self._at]
