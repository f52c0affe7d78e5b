"""The file of ``--record``: a line of JSON for everything that crossed the wire. Pure.

The first line is ``{"type":"recording","version":1,"began":...,"audio":...}``. Each line after it has ``type``,
``connection`` (from 1) and ``ms`` since that connection was begun:

- ``open``: ``url``, ``source``, ``began_ms`` (since the recording began), ``request`` and ``response`` headers;
- ``failed`` in its place: ``url``, ``source``, ``began_ms``, ``message`` and, of an HTTP answer, its ``status``;
- ``event``: ``direction`` (``out`` to the endpoint, ``in`` from it) and the ``event``; what is no JSON object stands in
  ``text``, what is no text in ``base64``;
- ``ping``, ``pong``: ``direction``;
- ``close``: ``direction`` of who closed first, then of the answer, ``code`` (1005: none, 1006: cut) and ``reason``;
- ``dropped``, of no connection: ``lines`` that a disk was too slow for.

Without the sound, base64 is replaced by ``{"bytes": N}``, N being the size of what it stood for.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VERSION = 1
APPEND = "input_audio_buffer.append"
TYPES = {"open", "failed", "event", "ping", "pong", "close", "dropped"}
_AUDIO_DELTAS = {"response.output_audio.delta", "response.audio.delta"}
_CODES = {*range(1000, 1004), *range(1005, 1015)}
_LARGEST_CODE = 4999


@dataclass(frozen=True, slots=True)
class Entry:
    """A line."""

    type: str
    """``recording``, one of ``TYPES``, or ``torn``: the last line, if it is not whole."""
    connection: int = 0
    ms: float = 0.0
    direction: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    """All of it."""

    @property
    def event(self) -> dict[str, Any]:
        """Of an ``event``, its JSON object; else nothing."""
        event: dict[str, Any] = self.fields.get("event", {})
        return event

    @property
    def appended(self) -> int | None:
        """Bytes of sound in it, if it appends sound to the endpoint's buffer."""
        if self.direction != "out" or self.event.get("type") != APPEND:
            return None
        return size_of(self.event.get("audio"))


def size_of(audio: object) -> int:
    """How many bytes a piece of sound has, in base64 or as ``{"bytes": N}``; 0 of anything else."""
    match audio:
        case str():
            return len(audio.rstrip("=")) * 3 // 4
        case {"bytes": int(size)} if size > 0:
            return size
    return 0


def without_audio(event: dict[str, Any]) -> dict[str, Any]:
    """An event with the size of its sound in the place of the sound; raises RecursionError for what nests too deep."""
    if event.get("type") in _AUDIO_DELTAS and isinstance(event.get("delta"), str):
        event = {**event, "delta": {"bytes": size_of(event["delta"])}}
    shortened: dict[str, Any] = _without_audio(event)
    return shortened


def with_silence(event: dict[str, Any]) -> dict[str, Any]:
    """The reverse, as far as it goes: zeros in the place of the sound."""
    if event.get("type") in _AUDIO_DELTAS and isinstance(event.get("delta"), dict):
        event = {**event, "delta": _zeros(event["delta"])}
    restored: dict[str, Any] = _with_silence(event)
    return restored


def entries(lines: Iterable[bytes], name: str) -> Iterator[Entry]:
    """Read a recording, line after line.

    Args:
        lines: With their line ends.
        name: Of the file, for people.

    Raises:
        UsageError: It is no recording, with the number of the line.
    """
    opened: set[int] = set()
    number = 0
    for number, line in enumerate(lines, 1):
        try:
            entry = _entry(line, first=number == 1, opened=opened)
        except (ValueError, RecursionError) as exc:
            if number > 1 and not line.endswith(b"\n"):  # the writer was killed
                yield Entry("torn")
                return
            raise _no_recording(name, f"line {number}", exc) from None
        if entry.type in {"open", "failed"}:
            opened.add(entry.connection)
        yield entry
    if not number:
        raise _no_recording(name, "it", ValueError("is empty"))


def _entry(line: bytes, *, first: bool, opened: set[int]) -> Entry:
    try:
        fields = json.loads(line)
    except ValueError:
        raise ValueError("is no JSON") from None
    if not isinstance(fields, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004 - what is wrong is the file
    kind = fields.get("type", "")
    if first:
        _check(kind == "recording", "is not the first line of a recording")
        _check(
            fields.get("version") == VERSION, f"has version {fields.get('version')!r}, and this program reads {VERSION}"
        )
        return Entry("recording", fields=fields)
    _check(isinstance(kind, str) and kind in TYPES, "has no type that is known")
    if kind == "dropped":
        return Entry("dropped", fields=fields)
    connection, ms, direction = fields.get("connection", 0), fields.get("ms", -1), fields.get("direction", "")
    _check(isinstance(connection, int) and connection > 0, "has no connection")
    _check(isinstance(ms, int | float) and 0 <= ms < float("inf"), "has no time")
    if kind not in {"open", "failed"}:
        _check(connection in opened, "belongs to a connection that was never opened")
        _check(direction in {"in", "out"}, "has no direction")
    _check_content(kind, fields)
    return Entry(kind, connection, ms, direction, fields)


def _check_content(kind: str, fields: dict[str, Any]) -> None:
    match kind:
        case "event":
            content = isinstance(fields.get("event", {}), dict) and any(
                isinstance(fields.get(name), of) for name, of in (("event", dict), ("text", str), ("base64", str))
            )
            _check(content, "has no event")
            b64decode(fields.get("base64", ""), validate=True)
        case "close":
            code = fields.get("code")
            _check(isinstance(code, int) and (code in _CODES or 3000 <= code <= _LARGEST_CODE), "has no close code")  # noqa: PLR2004
            _check(isinstance(fields.get("reason", ""), str), "has no reason that is a text")
        case "open" | "failed":
            _check(isinstance(fields.get("began_ms", 0), int | float), "has no beginning")
            status = fields.get("status")
            _check(status is None or (isinstance(status, int) and 100 <= status <= 599), "has no HTTP status")  # noqa: PLR2004


def _check(right: bool, wrong: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not right:
        raise ValueError(wrong)


def _no_recording(name: str, where: str, why: Exception) -> UsageError:
    what = "nests too deep" if isinstance(why, RecursionError) else why
    return UsageError(
        f"{name} is no recording: {where} {what}", "rt replay reads what --record wrote", code="recording"
    )


def _without_audio(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: {"bytes": size_of(content)}
                if name == "audio" and isinstance(content, str)
                else _without_audio(content)
                for name, content in value.items()
            }
        case list():
            return [_without_audio(item) for item in value]
        case _:
            return value


def _with_silence(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: _zeros(content) if name == "audio" and _is_size(content) else _with_silence(content)
                for name, content in value.items()
            }
        case list():
            return [_with_silence(item) for item in value]
        case _:
            return value


def _is_size(content: object) -> bool:
    return isinstance(content, dict) and content.keys() == {"bytes"}


_MOST_SILENCE = 24 * 1024 * 1024
"""Of one event, bytes: no message that was received can stand for more."""


def _zeros(content: object) -> str:
    return b64encode(bytes(min(size_of(content), _MOST_SILENCE))).decode()
