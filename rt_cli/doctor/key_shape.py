"""Check whether a key has the format of its provider. Never prints the key. Pure."""

from __future__ import annotations

import re

from rt_cli.doctor.finding import Finding
from rt_cli.protocol.dialects import DIALECTS

_SHAPES = {
    "openai": (re.compile(r"(?:sk-|ek_)[\w-]{16,}"), "sk- and many letters"),
    "azure": (re.compile(r"[0-9a-fA-F]{32}|[0-9A-Za-z]{80,100}"), "32 hexadecimal digits, or 84 letters and digits"),
}
_PLACEHOLDER = re.compile(r"(?i).*(?:your|api|my)[-_ ]?(?:api|key|token).*|[x*.]{3,}|<.*>|sk-\.*|sk-x*")


def key_finding(origin: str, key: str, host: str) -> Finding:
    """Check the format of a key.

    Args:
        origin: Source of the key, in words.
        key: The key, cleaned.
        host: The host that receives it.
    """
    fix = f"put the key itself into {origin}"
    if _PLACEHOLDER.fullmatch(key):
        return Finding("key", "warn", f"what {origin} holds for {host} looks like a placeholder", fix)
    provider = next((name for name, dialect in DIALECTS.items() if dialect.owns(host)), None)
    if provider in _SHAPES:
        shape, description = _SHAPES[provider]
        if not shape.fullmatch(key):
            return Finding(
                "key", "warn", f"what {origin} holds does not look like a key for {host}: {description}", fix
            )
    return Finding("key", "ok", f"from {origin}, for {host}")
