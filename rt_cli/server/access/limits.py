"""Limits per client and per server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a server. Each field documents what happens above the limit."""

    sessions: int = 8
    """Most concurrent sessions; each may use a recogniser process of about 110 MB. One more: close 1013."""
    session_s: float = 3600.0
    """Longest session, announced as ``expires_at``. Then: error ``session_expired`` and close 1001."""
    message_bytes: int = 24 * 1024 * 1024
    """Largest message: an append of 15 MiB in base64, plus its JSON. Larger: close 1009."""
    handshakes: int = 256
    """Most concurrent connections before the end of the handshake; enough for all clients at the same instant. One
    more: the oldest of them is cut."""
    handshake_s: float = 10.0
    """Deadline of the TLS handshake, and again of the HTTP handshake. Later: cut."""
    ping_s: float = 20.0
    """Time between pings. Two unanswered in a row and no other data: close 1011. Less than 1 KiB/s read of what
    waits for the client: cut."""
    close_s: float = 0.4
    """Deadline of the closing handshake, and again of the session tasks. Later: cut."""
