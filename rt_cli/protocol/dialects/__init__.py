"""One file per provider that departs from OpenAI's GA protocol."""

from __future__ import annotations

from rt_cli.errors import UsageError, did_you_mean
from rt_cli.protocol.dialects.azure import AZURE
from rt_cli.protocol.dialects.dialect import Dialect
from rt_cli.protocol.dialects.localai import LOCALAI
from rt_cli.protocol.dialects.openai import OPENAI
from rt_cli.protocol.dialects.sglang import SGLANG
from rt_cli.protocol.dialects.speaches import SPEACHES
from rt_cli.protocol.dialects.vllm import VLLM

__all__ = ["AZURE", "DIALECTS", "OPENAI", "Dialect", "dialect_for"]

DIALECTS = {dialect.name: dialect for dialect in (OPENAI, AZURE, VLLM, SGLANG, LOCALAI, SPEACHES)}


def dialect_for(name: str | None, host: str) -> Dialect:
    """Return the dialect with this name; for None or ``auto`` the one that owns the host, else OpenAI's.

    Raises:
        UsageError: No dialect has this name.
    """
    if name is None or name == "auto":
        return next((dialect for dialect in DIALECTS.values() if dialect.owns(host)), OPENAI)
    if name not in DIALECTS:
        hint = did_you_mean(name, DIALECTS) or f"there are auto, {', '.join(DIALECTS)}"
        raise UsageError(f"unknown dialect {name!r}", hint)
    return DIALECTS[name]
