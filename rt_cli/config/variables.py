"""Variables ``RT_...`` that are none of ours, but look as if they were meant to be. Pure."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from rt_cli.config.values import settings_keys
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OTHERS = {"RT_CONFIG", "RT_API_KEY", "RT_DEBUG", "RT_SERVE_TOKEN", "RT_LLM_API_KEY", "RT_RECOGNIZER_API_KEY"}
"""Variables that are no settings."""
_MEANT = {"RT_OUTPUT": "RT_FORMAT"}
"""Variables after options whose keys have another name."""
_PREFIX = "RT_"
_CLOSE = 0.8
_LEAST = 4
"""Letters that two names must begin with in common."""


def misspelt(environ: Iterable[str]) -> Iterator[str]:
    """Yield a warning for each variable that is unknown and near a known one.

    Args:
        environ: Names of all variables.
    """
    known = {f"{_PREFIX}{name.upper()}" for name, key in settings_keys().items() if key.declared.only is None}
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in known | OTHERS and (meant := _nearest(name, known | OTHERS)):
            yield f"{printable(name)} is unknown: did you mean {meant}?"


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known variable of which a name is the beginning, or that it resembles; None for none."""
    if name in _MEANT:
        return _MEANT[name]
    bare = {each.removeprefix(_PREFIX): each for each in sorted(known)}
    typed = name.removeprefix(_PREFIX).upper()
    longer = [each for each in bare if len(typed) >= _LEAST and each.startswith(typed)]
    near = longer or get_close_matches(typed, bare, n=1, cutoff=_CLOSE)
    return bare[near[0]] if near else None
