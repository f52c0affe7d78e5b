"""The server's side of WebSocket (RFC 6455), strict: an oracle of what the client writes. Pure."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WireError(Exception):
    """The client has written what no client may write."""


def accept_of(request: bytes) -> str:
    """Return the key that accepts a handshake. Raises WireError for a request that is none."""
    line, *fields = request.split(b"\r\n")
    if not line.startswith(b"GET ") or not line.endswith(b" HTTP/1.1"):
        raise WireError(f"not a handshake: {line[:60]!r}")
    headers = dict(field.split(b": ", 1) for field in fields if field)
    names = {name.lower(): value for name, value in headers.items()}
    if names.get(b"upgrade", b"").lower() != b"websocket" or b"sec-websocket-key" not in names:
        raise WireError("no upgrade to WebSocket")
    digest = hashlib.sha1(names[b"sec-websocket-key"] + _GUID)  # noqa: S324 - the RFC wants it
    return base64.b64encode(digest.digest()).decode()


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Return a frame of the server."""
    first, size = opcode | (0x80 if fin else 0), len(payload)
    if size < 126:
        head = struct.pack("!BB", first, size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 126, size)
    else:
        head = struct.pack("!BBQ", first, 127, size)
    return head + payload


class FrameReader:
    """Reads frames of a client."""

    def __init__(self) -> None:
        self._data = bytearray()

    def push(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield opcode and payload of each frame that is complete now. Raises WireError."""
        self._data += data
        while (found := self._next()) is not None:
            yield found

    def _next(self) -> tuple[int, bytes] | None:
        data = self._data
        if len(data) < 2:
            return None
        first, second = data[0], data[1]
        if not first & 0x80 or first & 0x70 or not second & 0x80:
            raise WireError(f"frame starts with {first:#x} {second:#x}: fragmented, reserved or not masked")
        size, at = second & 0x7F, 2
        if size == 126:
            size, at = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(data[2:10], "big"), 10
        if len(data) < at + 4 + size:
            return None
        key, payload = bytes(data[at : at + 4]), bytes(data[at + 4 : at + 4 + size])
        del data[: at + 4 + size]
        return first & 0x0F, _unmask(payload, key)


def _unmask(payload: bytes, key: bytes) -> bytes:
    mask = np.frombuffer(key * (len(payload) // 4 + 1), np.uint8)[: len(payload)]
    return (np.frombuffer(payload, np.uint8) ^ mask).tobytes()
