"""The endpoint's side of a recorded session, played again: what is said when, and what is waited for. Pure.

What the endpoint had said after something of the client's waits for the same from this client: for as many events of
the same types in the same order, and for as much sound, in pieces of any size. What it then says comes as late after
that, and after what it had said before, as it had come in the recording.
"""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rt_cli.protocol.recording_format import APPEND, size_of, with_silence
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rt_cli.protocol.recording_format import Entry

_CLOSE_MARGIN_MS = 1000.0
"""What had come so shortly before the client left need not come before it leaves again."""
_LONGEST_TYPE = 60


@dataclass(frozen=True, slots=True)
class ClientProgress:
    """What must have come from the client."""

    events: int = 0
    """Events that are no sound."""
    audio: int = 0
    """Bytes."""
    ms: float = 0.0
    """When it had come in the recording."""


@dataclass(frozen=True, slots=True)
class EndpointAction:
    """Something that the endpoint did."""

    kind: Literal["text", "binary", "close"]
    ms: float
    """When, since the connection was begun."""
    after: ClientProgress
    data: bytes = b""
    """The message, or the reason of a close."""
    code: int = 0
    """Of a close; 1005: none, 1006: cut."""


@dataclass(frozen=True, slots=True)
class Script:
    """One connection."""

    actions: tuple[EndpointAction, ...] = ()
    events: tuple[str, ...] = ()
    """The types of the client's events that are no sound."""
    audio: int = 0
    """Bytes of sound of the client."""
    client_left_ms: float | None = None
    """When the client ended the connection; None if it did not."""
    refusal: int | None = None
    """HTTP status in the place of all this."""


def scripts_of(entries: Iterable[Entry]) -> tuple[list[Script], int]:
    """The connections of a recording in the order in which they were opened.

    A connection that never came about, and of which no HTTP status is known, is left out.

    Returns:
        Them, and how many lines the recording lacks.
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
        else:
            self.events.append(_type(entry.event))
            self.after = ClientProgress(len(self.events), self.after.audio, entry.ms)

    def script(self) -> Script:
        if not self.opened:
            return Script(refusal=self.refusal)
        return Script(tuple(self.actions), tuple(self.events), self.after.audio, self.client_left_ms)


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
    """This client is not the recorded one."""

    message: str
    event_id: str | None = None
    """Of the client's event."""


class ScriptPlayer:
    """A script on its way.

    Args:
        script: What to play.
        speed: Times real time; ``inf`` waits for the client alone.
        now: The time, seconds.
    """

    def __init__(self, script: Script, speed: float, now: float) -> None:
        self._script = script
        self._speed = speed
        self._events = 0
        self._audio = 0
        self._next_index = 0
        self._last_action_at = now
        self._ready_at: list[float] = []
        """When the cue of each deed came, of those for which it did."""
        self._advance(now)

    @property
    def action(self) -> EndpointAction | None:
        """What is next; None when nothing is left to do."""
        return self._script.actions[self._next_index] if self._next_index < len(self._script.actions) else None

    @property
    def client_closes(self) -> bool:
        """Whether the client, and not the endpoint, ended the connection."""
        return not self._script.actions or self._script.actions[-1].kind != "close"

    def due(self) -> float | None:
        """When the next deed is due, seconds; None while the client owes something before it, or nothing is left."""
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
        """The next deed is done."""
        self._next_index, self._last_action_at = self._next_index + 1, now

    def receive(self, message: str | bytes, now: float) -> Difference | None:
        """The client says something; returns what is wrong with it, which then has not been said."""
        event = _event(message)
        if event.get("type") == APPEND:
            self._audio += size_of(event.get("audio"))
            self._advance(now)
            return None
        type_, event_id = _type(event), event.get("event_id")
        due = self._script.events[self._events] if self._events < len(self._script.events) else None
        if type_ == due:
            self._events += 1
            self._advance(now)
            return None
        if due is None and self._script.client_left_ms is None:
            return None  # nobody knows what the recorded client would have said next
        expected = "nothing more" if due is None else due
        return Difference(
            f"the recording has {expected} here, not {type_}", event_id if isinstance(event_id, str) else None
        )

    def missing(self) -> str | None:
        """What the client still owes before the next deed; None if nothing."""
        action = self.action
        if action is None or self._next_index < len(self._ready_at):
            return None
        return self._missing(action.after.events, action.after.audio)

    def skip_missing(self, now: float) -> None:
        """Go on as if the client had done what it owes."""
        if (action := self.action) is not None:
            self._events, self._audio = max(self._events, action.after.events), max(self._audio, action.after.audio)
            self._advance(now)

    def on_disconnect(self) -> Difference | None:
        """The client is gone, or has ended the connection: what is missing."""
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
