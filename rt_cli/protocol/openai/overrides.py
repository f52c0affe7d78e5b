"""``--set path=value``: fields of the session object set by the user, applied last. Pure."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_RESERVED = {
    "type": "the command says which kind of session it is",
    "audio.input.format": "rt resamples to the format of the endpoint",
    "audio.input.turn_detection.type": "use --turn-detection",
    "audio.input.transcription.model": "use --model",
    "input_audio_format": "rt resamples to the format of the endpoint",
    "input_audio_sampling_rate": "rt resamples to the format of the endpoint",
    "sample_rate": "rt resamples to the format of the endpoint",
    "turn_detection.type": "use --turn-detection",
    "input_audio_transcription.model": "use --model",
}
"""Paths that other parts of ``rt`` depend on (timeline, turn detection, reports), with the hint for the user."""


def with_overrides(session: dict[str, Any], overrides: Sequence[tuple[str, object]]) -> dict[str, Any]:
    """Copy the session and set each value at its dotted path, in order; missing objects are created.

    Raises:
        UsageError: An empty path, a path through a value that is not an object, or a path that ``rt`` sets itself.
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
    for reserved, hint in _RESERVED.items():
        if f"{reserved}.".startswith(f"{path}.") or f"{path}.".startswith(f"{reserved}."):
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
