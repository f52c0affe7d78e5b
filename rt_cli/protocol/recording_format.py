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
TYPES = {"open", "failed", "event", "ping", "pong", "close", "dropped"}
_AUDIO_DELTAS = {"response.output_audio.delta", "response.audio.delta"}
_CODES = {*range(1000, 1004), *range(1005, 1015)}
_MAX_CODE = 4999


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
        """Audio bytes of an ``input_audio_buffer.append`` sent to the endpoint; None for other lines."""
        if self.direction != "out" or self.event.get("type") != APPEND:
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
    if event.get("type") in _AUDIO_DELTAS and isinstance(event.get("delta"), str):
        event = {**event, "delta": {"bytes": size_of(event["delta"])}}
    shortened: dict[str, Any] = _without_audio(event)
    return shortened


def with_silence(event: dict[str, Any]) -> dict[str, Any]:
    """Replace each audio size by that many zero bytes: the inverse of :func:`without_audio`, with silence."""
    if event.get("type") in _AUDIO_DELTAS and isinstance(event.get("delta"), dict):
        event = {**event, "delta": _zeros(event["delta"])}
    restored: dict[str, Any] = _with_silence(event)
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
            _check(isinstance(code, int) and (code in _CODES or 3000 <= code <= _MAX_CODE), "has no close code")  # noqa: PLR2004
            _check(isinstance(fields.get("reason", ""), str), "has no reason that is a text")
        case "open" | "failed":
            _check(isinstance(fields.get("began_ms", 0), int | float), "has no beginning")
            status = fields.get("status")
            _check(status is None or (isinstance(status, int) and 100 <= status <= 599), "has no HTTP status")  # noqa: PLR2004


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


_MAX_SILENCE = 24 * 1024 * 1024
"""Bytes per event: the size limit for received messages allows no more."""


def _zeros(content: object) -> str:
    return b64encode(bytes(min(size_of(content), _MAX_SILENCE))).decode()
