"""Check whether a key has the format of its provider. Never prints the key. Pure."""

from __future__ import annotations

import re

from rt_cli.doctor.finding import Finding
from rt_cli.protocol.dialects import owner_of

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
    provider = owner_of(host)
    if provider is not None and provider.key_shape is not None:
        shape, description = provider.key_shape
        if not re.fullmatch(shape, key):
            return Finding(
                "key", "warn", f"what {origin} holds does not look like a key for {host}: {description}", fix
            )
    return Finding("key", "ok", f"from {origin}, for {host}")
