"""Ephemeral keys, as from OpenAI's ``client_secrets``: for browsers, which must not get the token.

Pure: the time is an argument. A secret opens any number of sessions until it expires; running sessions continue.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from rt_cli.server.session.wire import Rejected

PREFIX = "ek_"
DEFAULT_S = 600
SHORTEST_S = 10
LONGEST_S = 7_200
MOST = 1_000
"""Most secrets at once; a further secret removes the oldest."""

Describe = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Returns the session object after an update; raises Rejected."""


@dataclass(frozen=True, slots=True)
class Secret:
    """The data of an ephemeral key."""

    expires_at: int
    """Seconds since the epoch."""
    session: Mapping[str, Any]
    """Initial ``session.update``; always with ``type``."""


class ClientSecrets:
    """The ephemeral keys of a server.

    Args:
        describe: Validates a ``session.update`` and returns the session object.
    """

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._secrets: dict[str, Secret] = {}

    def mint(self, body: bytes, now: float) -> dict[str, Any]:
        """Answer ``POST /v1/realtime/client_secrets``.

        Args:
            body: Empty, or JSON with optional ``expires_after`` and ``session``; untrusted.
            now: Seconds since the epoch.

        Raises:
            Rejected: The body is invalid.
        """
        request = _object(body)
        session = request.get("session")
        session = {"type": "realtime"} if session is None else session
        effective = self._describe(session)
        secret = Secret(int(now) + _lifetime(request.get("expires_after")), session)
        self._make_room(now)
        value = PREFIX + secrets.token_urlsafe(24)
        self._secrets[value] = secret
        session_object = {"id": f"sess_{secrets.token_hex(10)}", **effective, "expires_at": 0}
        return {"value": value, "expires_at": secret.expires_at, "session": session_object}

    def redeem(self, key: str, now: float) -> Secret | None:
        """The data of a key; None if the key is unknown or expired."""
        # No constant-time comparison: a secret has 192 random bits, so the time of a dict lookup reveals nothing.
        secret = self._secrets.get(key)
        return secret if secret is not None and now < secret.expires_at else None

    def _make_room(self, now: float) -> None:
        self._secrets = {value: secret for value, secret in self._secrets.items() if now < secret.expires_at}
        while len(self._secrets) >= MOST:
            del self._secrets[next(iter(self._secrets))]


def _object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise Rejected("invalid_json", "The body must be a JSON object.") from None


def _lifetime(expires_after: Any) -> int:
    if expires_after is None:
        return DEFAULT_S
    if not isinstance(expires_after, dict) or expires_after.get("anchor", "created_at") != "created_at":
        raise Rejected("invalid_value", "expires_after must be anchored at created_at.", "expires_after.anchor")
    seconds = expires_after.get("seconds", DEFAULT_S)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not SHORTEST_S <= seconds <= LONGEST_S:
        message = f"expires_after.seconds must be an integer from {SHORTEST_S} to {LONGEST_S}."
        raise Rejected("invalid_value", message, "expires_after.seconds")
    return seconds
