"""Replay of the endpoint's side of a recorded session: which message is sent when, and after which client data. Pure.

Each message of the endpoint waits until the new client has sent as much as the recorded client had sent before that
message: the same number of events, of the same types in the same order, and as many bytes of audio, in pieces of any
size. Then the message keeps its recorded delays: after the client data, and after the message before.
"""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rt_cli.protocol.recording_format import APPENDS, size_of, with_silence
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rt_cli.protocol.recording_format import Entry

_CLOSE_MARGIN_MS = 1000.0
"""Recorded messages this close to the client's close may be missing when the new client closes."""
_LONGEST_TYPE = 60


@dataclass(frozen=True, slots=True)
class ClientProgress:
    """Amount of data that the client has sent."""

    events: int = 0
    """Number of events without audio appends."""
    audio: int = 0
    """Bytes of audio."""
    ms: float = 0.0
    """Time of the last of these data in the recording, in ms."""


@dataclass(frozen=True, slots=True)
class EndpointAction:
    """A message or close of the endpoint."""

    kind: Literal["text", "binary", "close"]
    ms: float
    """Time in the recording, in ms since the start of the connection."""
    after: ClientProgress
    data: bytes = b""
    """The message, or the reason of a close frame."""
    code: int = 0
    """Close code; 1005: close frame without code, 1006: connection lost."""


@dataclass(frozen=True, slots=True)
class Script:
    """The script of one connection."""

    actions: tuple[EndpointAction, ...] = ()
    events: tuple[str, ...] = ()
    """Types of the client's events, in order, without audio appends."""
    audio: int = 0
    """Bytes of audio from the client."""
    binary: bool = False
    """That audio is binary messages."""
    client_left_ms: float | None = None
    """Time of the client's close in ms; None if the client did not close."""
    refusal: int | None = None
    """HTTP status of a refused handshake; the other fields are then empty."""


def scripts_of(entries: Iterable[Entry]) -> tuple[list[Script], int]:
    """Build the scripts of a recording, in the order of the connections.

    A connection that failed without an HTTP status is left out.

    Returns:
        The scripts, and the number of lines that are missing in the recording.
    """
    drafts: dict[int, _Draft] = {}
    order: list[int] = []
    missing = 0
    for entry in entries:
        match entry.type:
            case "dropped":
                missing += size_of({"bytes": entry.fields.get("lines")})
            case "torn":
                missing += 1
            case "open" | "failed" if entry.connection not in drafts:
                drafts[entry.connection] = _Draft(refusal=entry.fields.get("status"), opened=entry.type == "open")
                order.append(entry.connection)
            case "event" | "close":
                drafts[entry.connection].add(entry)
    return [drafts[number].script() for number in order if drafts[number].is_playable], missing


@dataclass(slots=True)
class _Draft:
    refusal: int | None
    opened: bool
    actions: list[EndpointAction] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    after: ClientProgress = ClientProgress()
    binary: bool = False
    client_left_ms: float | None = None
    closed: bool = False

    @property
    def is_playable(self) -> bool:
        return self.opened or self.refusal is not None

    def add(self, entry: Entry) -> None:
        if self.closed:
            return
        if entry.type == "close":
            self.closed = True
        if entry.direction == "in":
            self.actions.append(_action(entry, self.after))
        elif self.closed:
            self.client_left_ms = entry.ms
        elif (size := entry.appended) is not None:
            self.after = ClientProgress(self.after.events, self.after.audio + size, entry.ms)
            self.binary = self.binary or not entry.event
        else:
            self.events.append(_type(entry.event))
            self.after = ClientProgress(len(self.events), self.after.audio, entry.ms)

    def script(self) -> Script:
        if not self.opened:
            return Script(refusal=self.refusal)
        return Script(tuple(self.actions), tuple(self.events), self.after.audio, self.binary, self.client_left_ms)


def _action(entry: Entry, after: ClientProgress) -> EndpointAction:
    if entry.type == "close":
        return EndpointAction("close", entry.ms, after, entry.fields.get("reason", "").encode(), entry.fields["code"])
    if "event" in entry.fields:
        return EndpointAction("text", entry.ms, after, json.dumps(with_silence(entry.event)).encode())
    if "text" in entry.fields:
        return EndpointAction("text", entry.ms, after, entry.fields["text"].encode("utf-8", "replace"))
    return EndpointAction("binary", entry.ms, after, b64decode(entry.fields["base64"]))


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between this client and the recorded one."""

    message: str
    event_id: str | None = None
    """Id of the client's event."""


class ScriptPlayer:
    """The progress of a script.

    Args:
        script: The script to play.
        speed: Factor of real time; ``inf``: no recorded delays, only wait for the client.
        now: Current time in seconds.
    """

    def __init__(self, script: Script, speed: float, now: float) -> None:
        self._script = script
        self._speed = speed
        self._events = 0
        self._audio = 0
        self._next_index = 0
        self._last_action_at = now
        self._ready_at: list[float] = []
        """For each action whose client data has come: when, in seconds."""
        self._advance(now)

    @property
    def action(self) -> EndpointAction | None:
        """The next action; None at the end of the script."""
        return self._script.actions[self._next_index] if self._next_index < len(self._script.actions) else None

    @property
    def client_closes(self) -> bool:
        """True if in the recording the client, not the endpoint, closed the connection."""
        return not self._script.actions or self._script.actions[-1].kind != "close"

    def due(self) -> float | None:
        """Time of the next action in seconds; None: it waits for client data, or the script has ended."""
        action = self.action
        if action is None or self._next_index >= len(self._ready_at):
            return None
        earliest = self._ready_at[self._next_index] + self._delay_s(action.ms - action.after.ms)
        if not self._next_index:
            return earliest
        return max(
            earliest, self._last_action_at + self._delay_s(action.ms - self._script.actions[self._next_index - 1].ms)
        )

    def mark_done(self, now: float) -> None:
        """Mark the next action as done."""
        self._next_index, self._last_action_at = self._next_index + 1, now

    def receive(self, message: str | bytes, now: float) -> Difference | None:
        """Process a message of the client; returns a difference if the message is not the expected one."""
        event = _event(message)
        binary = isinstance(message, bytes) and self._script.binary
        if binary or event.get("type") in APPENDS:
            self._audio += len(message) if binary else size_of(event.get("audio"))
            self._advance(now)
            return None
        type_, event_id = _type(event), event.get("event_id")
        due = self._script.events[self._events] if self._events < len(self._script.events) else None
        if type_ == due:
            self._events += 1
            self._advance(now)
            return None
        if due is None and self._script.client_left_ms is None:
            return None  # the recording ended first, so any event is acceptable
        expected = "nothing more" if due is None else due
        return Difference(
            f"the recording has {expected} here, not {type_}", event_id if isinstance(event_id, str) else None
        )

    def missing(self) -> str | None:
        """Text: the client data that the next action waits for; None: no data is missing."""
        action = self.action
        if action is None or self._next_index < len(self._ready_at):
            return None
        return self._missing(action.after.events, action.after.audio)

    def skip_missing(self, now: float) -> None:
        """Continue as if the client had sent the missing data."""
        if (action := self.action) is not None:
            self._events, self._audio = max(self._events, action.after.events), max(self._audio, action.after.audio)
            self._advance(now)

    def on_disconnect(self) -> Difference | None:
        """The client has closed or lost the connection; returns a difference if data is missing."""
        missing = self._missing(len(self._script.events), self._script.audio)
        action = self.action
        if missing is not None and action is not None:
            return Difference(f"the client left; missing: {missing}")
        if missing is not None:
            return Difference(f"missing: {missing}")
        client_left_ms = self._script.client_left_ms
        if action is not None and (client_left_ms is None or action.ms < client_left_ms - _CLOSE_MARGIN_MS):
            return Difference(f"the client left with {len(self._script.actions) - self._next_index} messages to come")
        return None

    def _delay_s(self, ms: float) -> float:
        return max(0.0, ms) / 1000 / self._speed

    def _advance(self, now: float) -> None:
        actions = self._script.actions
        while len(self._ready_at) < len(actions):
            after = actions[len(self._ready_at)].after
            if after.events > self._events or after.audio > self._audio:
                return
            self._ready_at.append(now)

    def _missing(self, events: int, audio: int) -> str | None:
        parts = list(self._script.events[self._events : events][:1])
        if events - self._events > 1:
            parts.append(f"{events - self._events - 1} more events")
        if audio > self._audio:
            parts.append(f"{audio - self._audio} of {audio} bytes of sound")
        return ", ".join(parts) or None


def _event(message: str | bytes) -> dict[str, object]:
    if isinstance(message, bytes):
        return {}
    try:
        event = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _type(event: dict[str, object]) -> str:
    kind = event.get("type")
    return printable(kind)[:_LONGEST_TYPE] if isinstance(kind, str) else "something without a type"
