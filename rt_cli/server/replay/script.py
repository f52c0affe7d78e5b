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

_LAST_WORDS_MS = 1000.0
"""What had come so shortly before the client left need not come before it leaves again."""
_LONGEST_TYPE = 60


@dataclass(frozen=True, slots=True)
class ClientProgress:
    """What must have come from the client."""

    words: int = 0
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
    cue: ClientProgress
    data: bytes = b""
    """The message, or the reason of a close."""
    code: int = 0
    """Of a close; 1005: none, 1006: cut."""


@dataclass(frozen=True, slots=True)
class Script:
    """One connection."""

    deeds: tuple[EndpointAction, ...] = ()
    words: tuple[str, ...] = ()
    """The types of the client's events that are no sound."""
    audio: int = 0
    """Bytes of sound of the client."""
    left_ms: float | None = None
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
    return [drafts[number].script() for number in order if drafts[number].counts], missing


@dataclass(slots=True)
class _Draft:
    refusal: int | None
    opened: bool
    deeds: list[EndpointAction] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    cue: ClientProgress = ClientProgress()
    left_ms: float | None = None
    over: bool = False

    @property
    def counts(self) -> bool:
        return self.opened or self.refusal is not None

    def add(self, entry: Entry) -> None:
        if self.over:
            return
        if entry.type == "close":
            self.over = True
        if entry.direction == "in":
            self.deeds.append(_deed(entry, self.cue))
        elif self.over:
            self.left_ms = entry.ms
        elif (size := entry.appended) is not None:
            self.cue = ClientProgress(self.cue.words, self.cue.audio + size, entry.ms)
        else:
            self.words.append(_type(entry.event))
            self.cue = ClientProgress(len(self.words), self.cue.audio, entry.ms)

    def script(self) -> Script:
        if not self.opened:
            return Script(refusal=self.refusal)
        return Script(tuple(self.deeds), tuple(self.words), self.cue.audio, self.left_ms)


def _deed(entry: Entry, cue: ClientProgress) -> EndpointAction:
    if entry.type == "close":
        return EndpointAction("close", entry.ms, cue, entry.fields.get("reason", "").encode(), entry.fields["code"])
    if "event" in entry.fields:
        return EndpointAction("text", entry.ms, cue, json.dumps(with_silence(entry.event)).encode())
    if "text" in entry.fields:
        return EndpointAction("text", entry.ms, cue, entry.fields["text"].encode("utf-8", "replace"))
    return EndpointAction("binary", entry.ms, cue, b64decode(entry.fields["base64"]))


@dataclass(frozen=True, slots=True)
class Difference:
    """This client is not the recorded one."""

    message: str
    event_id: str | None = None
    """Of the client's event."""


class Reenactment:
    """A script on its way.

    Args:
        script: What to play.
        speed: Times real time; ``inf`` waits for the client alone.
        now: The time, seconds.
    """

    def __init__(self, script: Script, speed: float, now: float) -> None:
        self._script = script
        self._speed = speed
        self._words = 0
        self._audio = 0
        self._done = 0
        self._done_at = now
        self._cued_at: list[float] = []
        """When the cue of each deed came, of those for which it did."""
        self._advance(now)

    @property
    def deed(self) -> EndpointAction | None:
        """What is next; None when nothing is left to do."""
        return self._script.deeds[self._done] if self._done < len(self._script.deeds) else None

    @property
    def waits_to_be_left(self) -> bool:
        """Whether the client, and not the endpoint, ended the connection."""
        return not self._script.deeds or self._script.deeds[-1].kind != "close"

    def due(self) -> float | None:
        """When the next deed is due, seconds; None while the client owes something before it, or nothing is left."""
        deed = self.deed
        if deed is None or self._done >= len(self._cued_at):
            return None
        after_cue = self._cued_at[self._done] + self._delay_s(deed.ms - deed.cue.ms)
        if not self._done:
            return after_cue
        return max(after_cue, self._done_at + self._delay_s(deed.ms - self._script.deeds[self._done - 1].ms))

    def did(self, now: float) -> None:
        """The next deed is done."""
        self._done, self._done_at = self._done + 1, now

    def hear(self, message: str | bytes, now: float) -> Difference | None:
        """The client says something; returns what is wrong with it, which then has not been said."""
        event = _event(message)
        if event.get("type") == APPEND:
            self._audio += size_of(event.get("audio"))
            self._advance(now)
            return None
        said, event_id = _type(event), event.get("event_id")
        due = self._script.words[self._words] if self._words < len(self._script.words) else None
        if said == due:
            self._words += 1
            self._advance(now)
            return None
        if due is None and self._script.left_ms is None:
            return None  # nobody knows what the recorded client would have said next
        expected = "nothing more" if due is None else due
        return Difference(
            f"the recording has {expected} here, not {said}", event_id if isinstance(event_id, str) else None
        )

    def owed(self) -> str | None:
        """What the client still owes before the next deed; None if nothing."""
        deed = self.deed
        if deed is None or self._done < len(self._cued_at):
            return None
        return self._lack(deed.cue.words, deed.cue.audio)

    def forgive(self, now: float) -> None:
        """Go on as if the client had done what it owes."""
        if (deed := self.deed) is not None:
            self._words, self._audio = max(self._words, deed.cue.words), max(self._audio, deed.cue.audio)
            self._advance(now)

    def left(self) -> Difference | None:
        """The client is gone, or has ended the connection: what is missing."""
        lack = self._lack(len(self._script.words), self._script.audio)
        deed = self.deed
        if lack is not None and deed is not None:
            return Difference(f"the client left; missing: {lack}")
        if lack is not None:
            return Difference(f"missing: {lack}")
        left_ms = self._script.left_ms
        if deed is not None and (left_ms is None or deed.ms < left_ms - _LAST_WORDS_MS):
            return Difference(f"the client left with {len(self._script.deeds) - self._done} messages to come")
        return None

    def _delay_s(self, ms: float) -> float:
        return max(0.0, ms) / 1000 / self._speed

    def _advance(self, now: float) -> None:
        deeds = self._script.deeds
        while len(self._cued_at) < len(deeds):
            cue = deeds[len(self._cued_at)].cue
            if cue.words > self._words or cue.audio > self._audio:
                return
            self._cued_at.append(now)

    def _lack(self, words: int, audio: int) -> str | None:
        parts = list(self._script.words[self._words : words][:1])
        if words - self._words > 1:
            parts.append(f"{words - self._words - 1} more events")
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
