"""What a file that is passed on must not hold: keys by their value, by their name, and by their look. Pure."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rt_cli.protocol.endpoint.endpoint import Endpoint

MASK = "***"
_SHORTEST = 8
"""Less is nobody's key, and may be part of any word."""
_LOOKS = re.compile(r"\b((?:sk|ek|rk)[-_])[\w*.-]{16,}|(openai-insecure-api-key\.)[^\s\",]+")
_NAMES = re.compile(r"(?:secret|password|authorization|api[-_]?key|[-_]token)$", re.IGNORECASE)
_PLAIN_HEADERS = {
    *("host", "upgrade", "connection", "user-agent", "server", "date", "content-type", "content-length"),
    *("sec-websocket-version", "sec-websocket-extensions", "sec-websocket-accept", "sec-websocket-protocol"),
    *("x-request-id", "openai-processing-ms", "openai-version", "apim-request-id", "x-ms-region", "retry-after"),
}
"""Headers whose value may be told; of others only the name."""


def secrets_of(endpoint: Endpoint) -> tuple[str, ...]:
    """Every text that is a key of an endpoint, or part of one, in all spellings that it may come back in."""
    found = {value.rpartition(" ")[2] for _, value in endpoint.headers}
    found |= {_password(value) for _, value in endpoint.headers if value.startswith("Basic ")}
    told, asked = (parse_qsl(urlsplit(url).query, keep_blank_values=True) for url in (endpoint.shown, endpoint.url))
    found |= {value for (_, shown), (_, value) in zip(told, asked, strict=True) if shown != value}
    found |= {pair.partition("=")[2] for pair in urlsplit(endpoint.url).query.split("&") if _names_secret(pair, told)}
    return tuple(sorted((text for text in found if len(text) >= _SHORTEST), key=len, reverse=True))


class Redactor:
    """Takes secrets out.

    Args:
        secrets: Texts that must not appear; the longer ones first.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = [spelt for text in secrets for spelt in dict.fromkeys((text, json.dumps(text)[1:-1]))]

    def text(self, text: str) -> str:
        """A text, JSON or not, without the secrets, and without what looks like a key."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return _LOOKS.sub(lambda found: f"{found[1] or found[2]}{MASK}", text)

    def fields(self, value: Any) -> Any:
        """A JSON value, all its texts as of :meth:`text`, and without what is called a secret.

        Raises:
            RecursionError: It nests too deep.
        """
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(name): self._field(name, content) for name, content in value.items()}
            case list():
                return [self.fields(item) for item in value]
            case int() | float() if any(secret in str(value) for secret in self._secrets):
                return MASK
            case _:
                return value

    def headers(self, headers: Iterable[tuple[str, str]]) -> list[list[str]]:
        """Headers as name and value; values only where they are known to be harmless."""
        return [[name, self.text(value) if name.lower() in _PLAIN_HEADERS else MASK] for name, value in headers]

    def _field(self, name: str, content: Any) -> Any:
        if content and name == "client_secret":
            return MASK
        if isinstance(content, str) and content and _NAMES.search(name):
            return MASK
        if name == "headers" and isinstance(content, dict):
            return dict.fromkeys(content, MASK)
        return self.fields(content)


def _password(header: str) -> str:
    try:
        return b64decode(header.removeprefix("Basic ")).decode().partition(":")[2]
    except ValueError:
        return ""


def _names_secret(pair: str, told: list[tuple[str, str]]) -> bool:
    return (pair.partition("=")[0], MASK) in told
