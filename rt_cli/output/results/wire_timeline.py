"""A wire recording as readable text: one line per event, one line for consecutive audio and pings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.protocol.message_log import shown
from rt_cli.protocol.recording_format import size_of
from rt_cli.protocol.sanitize import masked, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rt_cli.protocol.recording_format import Entry

_MAX_TEXT = 100
_FIRST_FIELDS = ("transcript", "delta", "error")
"""Fields that are printed first."""
_ARROWS = {"in": "<", "out": ">"}


def timeline(entries: Iterable[Entry], *, whole: bool = False) -> Iterator[str]:
    """Format a recording: seconds since its start, number of the connection, direction, content.

    Args:
        entries: Entries of the recording.
        whole: True for one line per entry, including audio and pings, with longer content.
    """
    began_ms: dict[int, float] = {}
    runs: dict[int, _Run] = {}
    for entry in entries:
        began_ms.setdefault(entry.connection, entry.fields.get("began_ms", 0.0))
        seconds = (began_ms[entry.connection] + entry.ms) / 1000
        size = entry.appended
        if not whole and (size is not None or entry.type in {"ping", "pong"}):
            runs.setdefault(entry.connection, _Run(seconds)).add(entry, size)
            continue
        yield from _flush(runs)
        if entry.type in {"recording", "dropped", "torn"}:
            yield _note(entry)
        else:
            text = _content(entry, size)
            cut = text if whole or len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."
            yield _line(seconds, entry.connection, _ARROWS.get(entry.direction, " "), cut)
    yield from _flush(runs)


@dataclass(slots=True)
class _Run:
    """Consecutive audio messages and pings."""

    seconds: float
    kind: str = ""
    pieces: int = 0
    size: int = 0
    pings: int = 0

    def add(self, entry: Entry, size: int | None) -> None:
        self.pings += entry.type == "ping"
        if size is not None:
            self.kind, self.pieces, self.size = _audio_kind(entry), self.pieces + 1, self.size + size

    def __str__(self) -> str:
        sound = f"{self.pieces} x {self.kind}, {self.size} B" if self.pieces else ""
        pings = f"{self.pings} x ping" if self.pings else ""
        return ", ".join(part for part in (sound, pings) if part)


def _audio_kind(entry: Entry) -> str:
    return str(entry.event["type"]) if entry.event else "binary"


def _flush(runs: dict[int, _Run]) -> Iterator[str]:
    yield from (_line(run.seconds, number, ">", str(run)) for number, run in runs.items() if str(run))
    runs.clear()


def _line(seconds: float, connection: int, arrow: str, text: str) -> str:
    return f"{seconds:10.3f}  {connection:3d} {arrow} {text}"


def _note(entry: Entry) -> str:
    match entry.type:
        case "recording":
            sound = "with" if entry.fields.get("audio") else "without"
            return printable(f"recorded {entry.fields.get('began', 'some time')}, {sound} the sound")
        case "dropped":
            return printable(f"{'':10}  the disk was too slow for {entry.fields.get('lines', 'some')} lines")
        case _:
            return f"{'':10}  the last line is torn: the recording was killed"


def _content(entry: Entry, size: int | None) -> str:
    fields = entry.fields
    match entry.type:
        case "open":
            text = f"open {fields.get('url')} {fields.get('source')}"
        case "failed":
            status = f"HTTP {fields['status']}, " if "status" in fields else ""
            text = f"failed {fields.get('url')} {status}{fields.get('message')}"
        case "close":
            text = f"close {fields['code']} {fields.get('reason', '')}".rstrip()
        case "event" if size is not None:
            text = f"{_audio_kind(entry)} {size} B"
        case "event" if "event" in fields:
            rest = {name: value for name, value in entry.event.items() if name not in {"type", "event_id"}}
            event = {name: rest[name] for name in _FIRST_FIELDS if name in rest} | rest
            return f"{printable(str(entry.event.get('type')))} {shown(json.dumps(event, ensure_ascii=False))}"
        case "event" if "text" in fields:
            return f"no event: {shown(fields['text'])}"
        case "event":
            text = f"binary, {size_of(fields['base64'])} B"
        case _:
            text = entry.type
    return printable(masked(text))
