"""The file of ``--record``: one line of JSON for each WebSocket message, ping, pong and close. Pure.

The first line is ``{"type":"recording","version":1,"began":...,"audio":...}``. Each line after it has ``type``,
``connection`` (from 1) and ``ms`` since the start of that connection attempt:

- ``open``: ``url``, ``source``, ``began_ms`` (since the start of the recording), ``request`` and ``response`` headers;
- ``failed`` instead of ``open``: ``url``, ``source``, ``began_ms``, ``message`` and the ``status`` of an HTTP answer;
- ``event``: ``direction`` (``out`` to the endpoint, ``in`` from it) and the ``event``; ``text`` instead if the message
  is not a JSON object, ``base64`` instead if the message is not text;
- ``ping``, ``pong``: ``direction``;
- ``close``: one line for the first close frame and one for the answer, each with ``direction``, ``code`` (1005: no
  code, 1006: connection cut) and ``reason``;
- ``dropped``, without a connection: ``lines``, the number of lines lost because the disk was too slow.

Without audio, ``{"bytes": N}`` replaces the base64; N is the size of the decoded audio.
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
TRANSLATION_APPEND = "session.input_audio_buffer.append"
APPENDS = {APPEND, TRANSLATION_APPEND}
"""Client events with audio."""
TYPES = {"open", "failed", "event", "ping", "pong", "close", "dropped"}
_AUDIO_DELTAS = {"response.output_audio.delta", "response.audio.delta", "session.output_audio.delta"}
_CODES = {*range(1000, 1004), *range(1005, 1015)}
_MAX_CODE = 4999
_MAX_REASON = 123
"""Bytes of the reason in a close frame."""
_MAX_MS = 1e15
_MAX_DEPTH = 300
"""Levels of an event; functions that walk through it need two frames for each."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a recording."""

    type: str
    """``recording``, one of ``TYPES``, or ``torn``: an incomplete last line."""
    connection: int = 0
    ms: float = 0.0
    direction: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    """All fields of the line."""

    @property
    def event(self) -> dict[str, Any]:
        """The JSON object of an ``event`` line; empty for other lines."""
        event: dict[str, Any] = self.fields.get("event", {})
        return event

    @property
    def appended(self) -> int | None:
        """Audio bytes of a binary message or an append sent to the endpoint; None for other lines."""
        if self.direction == "out" and "base64" in self.fields:
            return size_of(self.fields["base64"])
        if self.direction != "out" or self.event.get("type") not in APPENDS:
            return None
        return size_of(self.event.get("audio"))


def size_of(audio: object) -> int:
    """Return the size in bytes of audio in base64 or as ``{"bytes": N}``; 0 for any other value."""
    match audio:
        case str():
            return len(audio.rstrip("=")) * 3 // 4
        case {"bytes": int(size)} if size > 0:
            return size
    return 0


def without_audio(event: dict[str, Any]) -> dict[str, Any]:
    """Replace the audio of an event by its size.

    Raises:
        RecursionError: The event nests too deep.
    """
    if _is_audio_delta(event) and isinstance(event.get("delta"), str):
        event = {**event, "delta": {"bytes": size_of(event["delta"])}}
    shortened: dict[str, Any] = _without_audio(event)
    return shortened


def with_silence(event: dict[str, Any]) -> dict[str, Any]:
    """Replace each audio size by that many zero bytes: the inverse of :func:`without_audio`, with silence."""
    room = [_MAX_SILENCE]
    if _is_audio_delta(event) and isinstance(event.get("delta"), dict):
        event = {**event, "delta": _zeros(event["delta"], room)}
    restored: dict[str, Any] = _with_silence(event, room)
    return restored


def entries(lines: Iterable[bytes], name: str) -> Iterator[Entry]:
    """Read a recording line by line.

    Args:
        lines: Lines with their line ends.
        name: File name for error messages.

    Raises:
        UsageError: The file is not a recording; the message has the line number.
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
        raise ValueError("is no JSON object")  # noqa: TRY004 - the file is wrong, not an argument
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
    _check(type(connection) is int and connection > 0, "has no connection")
    _check(_is_ms(ms), "has no time")
    if kind in {"open", "failed"}:
        direction = ""
    else:
        _check(connection in opened, "belongs to a connection that was never opened")
        _check(isinstance(direction, str) and direction in {"in", "out"}, "has no direction")
    _check_content(kind, fields)
    return Entry(kind, connection, ms, direction, fields)


def _check_content(kind: str, fields: dict[str, Any]) -> None:
    match kind:
        case "event":
            # The audio of binary messages may be left out.
            left_out = fields.get("direction") == "out" and _is_size(fields.get("base64"))
            kinds = {"event": dict, "text": str, "base64": dict if left_out else str}
            present = [name for name in kinds if name in fields]
            _check(bool(present) and all(isinstance(fields[name], kinds[name]) for name in present), "has no event")
            b64decode("" if left_out else fields.get("base64", ""), validate=True)
            _check_depth(fields.get("event"))
        case "close":
            code = fields.get("code")
            _check(isinstance(code, int) and (code in _CODES or 3000 <= code <= _MAX_CODE), "has no close code")  # noqa: PLR2004
            reason = fields.get("reason", "")
            _check(isinstance(reason, str), "has no reason that is a text")
            # Half of a surrogate pair raises a ValueError here.
            _check(len(reason.encode()) <= _MAX_REASON, "has a reason that is too long for a close frame")
        case "open" | "failed":
            _check(_is_ms(fields.get("began_ms", 0)), "has no beginning")
            status = fields.get("status")
            _check(status is None or (isinstance(status, int) and 100 <= status <= 599), "has no HTTP status")  # noqa: PLR2004


def _is_ms(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_MS


def _check_depth(event: object) -> None:
    """Raise RecursionError if an event nests deeper than the functions that walk through it can go."""
    level, depth = [event], 0
    while level:
        if depth > _MAX_DEPTH:
            raise RecursionError
        nested: list[object] = []
        for value in level:
            if isinstance(value, dict):
                nested += value.values()
            elif isinstance(value, list):
                nested += value
        level, depth = nested, depth + 1


def _check(condition: bool, problem: str) -> None:  # noqa: FBT001 - a condition, not an option
    if not condition:
        raise ValueError(problem)


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


def _with_silence(value: Any, room: list[int]) -> Any:
    match value:
        case dict():
            return {
                name: _zeros(content, room) if name == "audio" and _is_size(content) else _with_silence(content, room)
                for name, content in value.items()
            }
        case list():
            return [_with_silence(item, room) for item in value]
        case _:
            return value


def _is_size(content: object) -> bool:
    return isinstance(content, dict) and content.keys() == {"bytes"}


def _is_audio_delta(event: dict[str, Any]) -> bool:
    kind = event.get("type")
    return isinstance(kind, str) and kind in _AUDIO_DELTAS


_MAX_SILENCE = 24 * 1024 * 1024
"""Bytes per event: the size limit for received messages allows no more."""


def _zeros(content: object, room: list[int]) -> str:
    """Return silence; ``room`` holds the bytes that the event may still have."""
    size = min(size_of(content), room[0])
    room[0] -= size
    return b64encode(bytes(size)).decode()
