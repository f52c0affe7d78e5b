"""What one client, or all of them, may take of the endpoint."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a server; what lies beyond each is answered as its line says."""

    sessions: int = 8
    """At once; each may have a recogniser of its own, about 110 MB. One more: close 1013."""
    session_s: float = 3600.0
    """Longest session, announced as ``expires_at``. Then: error ``session_expired`` and close 1001."""
    message_bytes: int = 24 * 1024 * 1024
    """An append of 15 MiB in base64, and its envelope. Larger: close 1009."""
    handshakes: int = 256
    """Connections at once that have not said yet what they want; more than good clients ever are, even when all come in
    the same instant. One more: the oldest of them is cut."""
    handshake_s: float = 10.0
    """From the first byte of TLS, and again of HTTP, to the open WebSocket. Later: cut."""
    ping_s: float = 20.0
    """Between pings. Two in a row unanswered, and nothing else heard: close 1011. Nothing read in between two: cut."""
    close_s: float = 0.4
    """For the closing handshake, and again for what did not end by itself. Later: cut."""
