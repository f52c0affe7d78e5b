"""Malformed messages, to test clients. Pure."""

from __future__ import annotations

from typing import Literal

How = Literal["text", "binary", "raw"]
"""A text frame, a binary frame, or bytes past the framing."""

_DEEP = 100_000
_HUGE = 17 * 1024 * 1024
GARBAGE = ("json", "binary", "utf8", "frame", "huge", "deep", "unknown", "error")
"""Kinds of malformed messages."""


def payload(kind: str) -> tuple[How, bytes]:
    """Build a malformed message: frame kind and payload.

    Args:
        kind: One of :data:`GARBAGE`.

    Raises:
        ValueError: Unknown kind.
    """
    match kind:
        case "json":
            return "text", b'{"type":"session.upd'
        case "binary":
            return "binary", bytes(range(256))
        case "utf8":
            return "text", b'{"type":"\xff\xfe"}'
        case "frame":  # opcode 3 is reserved
            return "raw", b"\x83\x00"
        case "huge":
            return "text", b'{"type":"garbage.huge","padding":"' + b"a" * _HUGE + b'"}'
        case "deep":
            return "text", b'{"type":"garbage.deep","nested":' + b"[" * _DEEP + b"]" * _DEEP + b"}"
        case "unknown":
            return "text", b'{"type":"garbage.unknown","event_id":"event_garbage","item_id":null,"n":1e999}'
        case "error":
            return "text", b'{"type":"error","error":"only words","code":"server_error"}'
        case _:
            raise ValueError(f"no garbage is called {kind}")
