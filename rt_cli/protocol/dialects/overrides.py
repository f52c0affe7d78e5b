"""``--set path=value``: the user's own words in the session object, applied last. Pure."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DECIDED_ELSEWHERE = {
    "type": "rt speaks transcription sessions only",
    "audio.input.format": "rt resamples to the format of the endpoint",
    "audio.input.turn_detection.type": "use --turn-detection",
    "audio.input.transcription.model": "use --model",
}
"""What the rest of the program must know the truth about: the timeline, who makes the turns, what is reported."""


def with_overrides(session: dict[str, Any], overrides: Sequence[tuple[str, object]]) -> dict[str, Any]:
    """A copy of the session with each value put at its dotted path, in order; missing objects are made.

    Raises:
        UsageError: An empty path, a step through something that is no object, or a path that ``rt`` decides.
    """
    result = deepcopy(session)
    for path, value in overrides:
        _check(path)
        *steps, last = path.split(".")
        _object_at(result, path, steps)[last] = deepcopy(value)
    return result


def _check(path: str) -> None:
    if not all(path.split(".")):
        raise UsageError(f"--set {path!r}: no path", "write it like audio.input.transcription.delay=low")
    for decided, hint in _DECIDED_ELSEWHERE.items():
        if f"{decided}.".startswith(f"{path}.") or f"{path}.".startswith(f"{decided}."):
            raise UsageError(f"--set {path}: cannot be set this way", hint)


def _object_at(session: dict[str, Any], path: str, steps: list[str]) -> dict[str, Any]:
    here = session
    for depth, step in enumerate(steps, start=1):
        inner = here.setdefault(step, {})
        if not isinstance(inner, dict):
            what = "null" if inner is None else "no object"
            raise UsageError(f"--set {path}: {'.'.join(steps[:depth])} is {what} in this session")
        here = inner
    return here
