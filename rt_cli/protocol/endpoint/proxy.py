"""Proxy URLs. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

_SCHEMES = ("http", "https", "socks5", "socks5h", "socks4", "socks4a")


def check_proxy(text: object) -> str:
    """Return the URL of a proxy in the form that the WebSocket library takes.

    Raises:
        ValueError: Not a proxy URL; the message continues a sentence after the word "must".
    """
    if isinstance(text, str) and text.isprintable() and " " not in text:
        try:
            parts = urlsplit(text)
            valid = parts.hostname and parts.path in {"", "/"} and not parts.query and parts.port != 0
        except ValueError:
            valid = False
        if valid and parts.scheme in _SCHEMES:
            return text if parts.port else _with_default_port(text.rstrip("/"), parts.scheme)
    raise ValueError(f"be written like http://HOST:PORT or socks5h://HOST:PORT ({', '.join(_SCHEMES)})")


def has_credentials(text: object) -> bool:
    """Return whether a URL holds a user name or a password."""
    return isinstance(text, str) and "@" in text


def _with_default_port(text: str, scheme: str) -> str:
    port = {"http": 80, "https": 443}.get(scheme, 1080)
    return f"{text}:{port}"
