"""One file per provider that departs from OpenAI's GA protocol."""

from __future__ import annotations

from collections.abc import MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError, did_you_mean
from rt_cli.protocol.dialects.azure import AZURE
from rt_cli.protocol.dialects.dialect import Dialect
from rt_cli.protocol.dialects.openai import OPENAI

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AZURE", "DIALECTS", "OPENAI", "Dialect", "dialect_for", "owner_of"]


class Registry(MutableMapping[str, Dialect]):
    """The dialects by name, in the order of the names; each is imported when it is asked for.

    The dialect ``azure-voice`` is ``AZURE_VOICE`` of the module ``azure_voice``.

    Args:
        names: Of the dialects.
    """

    def __init__(self, *names: str) -> None:
        self._found: dict[str, Dialect | None] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Dialect:
        found = self._found[name]
        if found is None:
            module = name.replace("-", "_")
            found = self._found[name] = getattr(import_module(f"{__name__}.{module}"), module.upper())
        return found

    def __setitem__(self, name: str, dialect: Dialect) -> None:
        self._found[name] = dialect

    def __delitem__(self, name: str) -> None:
        del self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, name: object) -> bool:
        return name in self._found


_SELF_HOSTED = ("vllm", "sglang", "localai", "speaches", "huggingface", "nvidia")
"""They own no host, so that nothing is looked up in them."""
DIALECTS = Registry("openai", "azure", *_SELF_HOSTED, "inworld")


def owner_of(host: str) -> Dialect | None:
    """Return the dialect of the provider that a host (lower case) belongs to; None if it is nobody's."""
    hosted = (DIALECTS[name] for name in DIALECTS if name not in _SELF_HOSTED)
    return next((dialect for dialect in hosted if dialect.owns(host)), None)


def dialect_for(name: str | None, host: str) -> Dialect:
    """Return the dialect with this name; for None or ``auto`` the one that owns the host, else OpenAI's.

    Raises:
        UsageError: No dialect has this name.
    """
    if name is None or name == "auto":
        return owner_of(host) or OPENAI
    if name not in DIALECTS:
        hint = did_you_mean(name, DIALECTS) or f"there are auto, {', '.join(DIALECTS)}"
        raise UsageError(f"unknown dialect {name!r}", hint)
    return DIALECTS[name]
