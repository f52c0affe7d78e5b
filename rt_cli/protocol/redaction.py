"""Remove secrets from recordings: by value, by field name, and by the shape of a key. Pure."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from rt_cli.masking import MASK, SHORTEST_KEY, Secrets, is_secret_field, masked_keys, protect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rt_cli.protocol.endpoint.endpoint import Endpoint

_PLAIN_HEADERS = {
    *("host", "upgrade", "connection", "user-agent", "server", "date", "content-type", "content-length"),
    *("sec-websocket-version", "sec-websocket-extensions", "sec-websocket-accept", "sec-websocket-protocol"),
    *("x-request-id", "openai-processing-ms", "openai-version", "apim-request-id", "x-ms-region", "retry-after"),
}
"""Headers whose value may be written; for all others only the name."""


def secrets_of(endpoint: Endpoint) -> tuple[str, ...]:
    """Collect every secret of an endpoint from headers and URL, in each spelling that may appear in a message.

    Returns:
        Secrets of at least 8 characters, the longest first.
    """
    return tuple(sorted((text for text in _all_secrets(endpoint) if len(text) >= SHORTEST_KEY), key=len, reverse=True))


def protect_endpoint(endpoint: Endpoint) -> None:
    """Mask the secrets of an endpoint and of its proxy, and the values of the user's headers, from now on."""
    proxy = urlsplit(endpoint.proxy or "")
    credentials = {unquote(proxy.password or ""), proxy.password or ""}
    protect(_all_secrets(endpoint) | credentials, (value for _, value in endpoint.more_headers))


def _all_secrets(endpoint: Endpoint) -> set[str]:
    found = {value.rpartition(" ")[2] for _, value in endpoint.headers}
    found |= {_password(value) for _, value in endpoint.headers if value.startswith("Basic ")}
    masked, query = (parse_qsl(urlsplit(url).query, keep_blank_values=True) for url in (endpoint.shown, endpoint.url))
    found |= {value for (_, text), (_, value) in zip(masked, query, strict=True) if text != value}
    found |= {pair.partition("=")[2] for pair in urlsplit(endpoint.url).query.split("&") if _is_secret(pair, masked)}
    return found


class Redactor:
    """Replaces secrets by ``***``.

    Args:
        secrets: Texts that must not appear; the longest first.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = Secrets(secrets)

    def text(self, text: str) -> str:
        """Mask the secrets, and everything that looks like a key, in a text (JSON or not)."""
        return masked_keys(self._secrets.mask(text))

    def fields(self, value: Any) -> Any:
        """Mask every text of a JSON value as in :meth:`text`, and every field with the name of a secret.

        Raises:
            RecursionError: The value nests too deep.
        """
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(name): self._field(name, content) for name, content in value.items()}
            case list():
                return [self.fields(item) for item in value]
            case int() | float() if self.text(str(value)) != str(value):
                return MASK
            case _:
                return value

    def headers(self, headers: Iterable[tuple[str, str]]) -> list[list[str]]:
        """Return headers as [name, value] pairs; only values of known harmless headers stay readable."""
        return [[name, self.text(value) if name.lower() in _PLAIN_HEADERS else MASK] for name, value in headers]

    def _field(self, name: str, content: Any) -> Any:
        if content and name == "client_secret":
            return MASK
        if isinstance(content, str) and content and is_secret_field(name):
            return MASK
        if name == "headers" and isinstance(content, dict):
            return dict.fromkeys(content, MASK)
        return self.fields(content)


def _password(header: str) -> str:
    try:
        return b64decode(header.removeprefix("Basic ")).decode().partition(":")[2]
    except ValueError:
        return ""


def _is_secret(pair: str, masked: list[tuple[str, str]]) -> bool:
    return (pair.partition("=")[0], MASK) in masked
