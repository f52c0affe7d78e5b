"""A model of the endpoint, pure: events of the client in, events with delays out. It knows what it was given.

Sound spells its own numbers (``tests/exact.py``), so a transcript is the numbers of the samples in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from tests.exact import RATE, read_back

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tests.simulation.scenario import Dials

Say = dict[str, Any]
MS = RATE // 1000
_MIN_COMMIT = RATE // 10
_WORDS = "conversation.item.input_audio_transcription."
INVENTED = "Thank you for watching."


class Later(Struct, frozen=True):
    """An event of the endpoint."""

    delay: float
    event: Say
    overtakes: bool = False
    """Whether it may come before events said earlier."""


class Hangup(Struct, frozen=True):
    """The endpoint ends the session: with a close frame, or (code 1006) without one."""

    delay: float
    code: int
    reason: str = ""


Outcome = Later | Hangup


class Endpoint:
    """What all sessions share.

    Args:
        dials: What it is like.
        chance: Its chance.
    """

    def __init__(self, dials: Dials, chance: random.Random) -> None:
        self.dials = dials
        self.chance = chance
        self.sessions: list[Session] = []
        self.received = 0
        """Samples that came in on all sessions, refused ones too."""
        self.heard_s = 0.0
        """Seconds of sound that all sessions were given."""
        self.finals: list[str] = []
        """The texts of all finals that were said."""

    def open(self) -> Session:
        """Begin a session."""
        self.sessions.append(Session(self, len(self.sessions) + 1))
        return self.sessions[-1]


class Session:
    """One session.

    Args:
        endpoint: Of which endpoint.
        number: From 1.
    """

    def __init__(self, endpoint: Endpoint, number: int) -> None:
        self.samples = 0
        """Samples taken so far."""
        self.heard: list[NDArray[np.int16]] = []
        """All of them."""
        self.arrivals: list[tuple[float, int]] = []
        """When how many samples came in."""
        self._endpoint, self._dials, self._chance = endpoint, endpoint.dials, endpoint.chance
        self._number = number
        self._silence: int | None = None
        self._buffer: list[NDArray[np.int16]] = []
        self._buffered = 0
        self._committed = 0
        self._start: int | None = None
        self._quiet = 0
        self._item = ""
        self._items = 0
        self._previous: str | None = None
        self._events = 0
        self._appends = 0
        self._last_final = 0.0
        self._now = 0.0

    def opened(self, wall: float) -> Iterator[Outcome]:
        """Greet."""
        dials = self._dials
        session: Say = {"id": f"sess_{self._number}"}
        if dials.lifetime_s is not None:
            if dials.announced:
                session["expires_at"] = int(wall + dials.lifetime_s)
            if dials.ending == "error":
                error = {"type": "invalid_request_error", "code": "session_expired", "message": "the session expired"}
                yield self._say("error", dials.lifetime_s - 0.01, overtakes=True, error=error)
            yield Hangup(dials.lifetime_s, 1006 if dials.ending == "silent" else 1001, "session expired")
        yield self._say("session.created", dials.created_s, session=session)

    def receive(self, event: Say, now: float) -> Iterator[Outcome]:
        """Answer an event of the client."""
        self._now = now
        match event["type"]:
            case "session.update":
                yield from self._configure(event)
            case "input_audio_buffer.append":
                yield from self._append(event)
            case "input_audio_buffer.commit":
                yield from self._commit_asked(event.get("event_id"))
            case "input_audio_buffer.clear" if self._dials.clears:
                yield self._say("input_audio_buffer.cleared")
            case "input_audio_buffer.clear":
                pass
            case other:
                yield self._error("unknown_event", f"no such event: {other}", event.get("event_id"))

    def _configure(self, event: Say) -> Iterator[Outcome]:
        session = event["session"]
        detection = session["audio"]["input"].get("turn_detection")
        if self._dials.detects == "always" and detection is None:
            detection = {"type": "server_vad", "silence_duration_ms": 400}
            session = {**session, "audio": {"input": {**session["audio"]["input"], "turn_detection": detection}}}
        self._silence = None if detection is None else detection.get("silence_duration_ms", 400) * MS
        if self._dials.updated == "rate":
            shape = {"type": "audio/pcm", "rate": 16_000}
            session = {**session, "audio": {"input": {**session["audio"]["input"], "format": shape}}}
        if self._dials.updated != "never":
            late = self._dials.updated == "late"
            yield self._say("session.updated", 4.0 if late else 0.0, overtakes=late, session=session)

    # -- sound --------------------------------------------------------------------------------------------------------

    def _append(self, event: Say) -> Iterator[Outcome]:
        self._appends += 1
        self._endpoint.received += len(event["audio"]) // 2
        self.arrivals.append((self._now, len(event["audio"]) // 2))
        for _ in range(self._dials.flood):
            yield self._say("rate_limits.updated", rate_limits=[])
        if self._number == 1 and self._appends in self._dials.refused:
            yield self._error("invalid_audio", "cannot decode this audio", None, kind="invalid_request_error")
            return
        samples = np.frombuffer(event["audio"], dtype="<i2")
        self.heard.append(samples)
        self._endpoint.heard_s += samples.size / RATE
        if self._dials.quota_s is not None and self._endpoint.heard_s > self._dials.quota_s:
            yield self._error("insufficient_quota", "you have used up your quota", None, kind="insufficient_quota")
            yield Hangup(0.05, 1008, "quota")
        for run in _runs(samples):
            self._buffer.append(run)
            self._buffered += run.size
            if self._silence is None:
                self.samples += run.size
            elif run[0]:
                yield from self._speech(run.size)
            else:
                yield from self._nothing(run.size)

    def _speech(self, count: int) -> Iterator[Outcome]:
        if self._start is None:
            self._start = self.samples
            self._item = self._new_item()
            start = max(self._committed, self.samples - self._dials.prefix_ms * MS)
            yield self._say(
                "input_audio_buffer.speech_started", item_id=self._item, **self._offset("audio_start_ms", start)
            )
        self._quiet = 0
        self.samples += count

    def _nothing(self, count: int) -> Iterator[Outcome]:
        if self._start is None or self._silence is None or self._quiet + count < self._silence:
            self._quiet += count
            self.samples += count
            return
        needed = self._silence - self._quiet
        self.samples += needed
        offset = self._offset("audio_end_ms", self.samples)
        yield self._say("input_audio_buffer.speech_stopped", item_id=self._item, **offset)
        yield from self._commit(count - needed)
        self._quiet = count - needed
        self.samples += count - needed

    def _offset(self, name: str, at: int) -> Say:
        match self._dials.offsets:
            case "session":
                return {name: at // MS}
            case "buffer":
                return {name: (at - self._committed) // MS}
            case _:
                return {}

    # -- turns --------------------------------------------------------------------------------------------------------

    def _commit_asked(self, event_id: str | None) -> Iterator[Outcome]:
        if self._silence is not None and self._dials.commits != "answered":
            if self._dials.commits == "refused":
                yield self._error("invalid_request", "no commits here", None)
            return
        if self._buffered < _MIN_COMMIT and self._start is None:
            yield self._error(
                "input_audio_buffer_commit_empty", "buffer too small", event_id, kind="invalid_request_error"
            )
            return
        if self._start is None:
            self._item = self._new_item()
        yield from self._commit(0)

    def _commit(self, keep: int) -> Iterator[Outcome]:
        """Make an item of the buffer, without its last ``keep`` samples."""
        samples = np.concatenate(self._buffer) if self._buffer else np.zeros(0, np.int16)
        mine, rest = samples[: samples.size - keep], samples[samples.size - keep :]
        self._buffer, self._buffered, self._start = [rest], rest.size, None
        self._committed += mine.size
        spoken = mine[mine != 0]
        spoken = spoken[: spoken.size // 2 * 2]  # a torn write may have split the last number
        text = read_back(spoken) if spoken.size else INVENTED if self._dials.invents else ""
        previous = {"previous_item_id": self._previous} if self._dials.previous else {}
        yield self._say("input_audio_buffer.committed", item_id=self._item, **previous)
        self._previous = self._item
        yield from self._words(self._item, text)

    def _words(self, item: str, text: str) -> Iterator[Outcome]:
        dials, chance = self._dials, self._chance
        delay = dials.final_s + chance.random() * dials.spread_s
        if dials.in_order:
            delay = max(delay, self._last_final - self._now)
            self._last_final = self._now + delay
        common = {"item_id": item, "content_index": 0}
        free = not dials.serial
        if chance.random() < dials.never:
            return
        if chance.random() < dials.failed:
            error = {"type": "server_error", "code": "audio_unintelligible", "message": "could not hear it"}
            yield self._say(f"{_WORDS}failed", delay, overtakes=free, error=error, **common)
            return
        yield from self._partials(text, delay, common, overtakes=free)
        self._endpoint.finals.append(text)
        for _ in range(2 if chance.random() < dials.doubled else 1):
            usage = {"type": "duration", "seconds": 1}
            yield self._say(f"{_WORDS}completed", delay, overtakes=free, transcript=text, usage=usage, **common)
            delay += 0.01

    def _partials(self, text: str, delay: float, common: Say, *, overtakes: bool) -> Iterator[Outcome]:
        half = len(text) // 2
        match self._dials.deltas:
            case "one":
                yield self._say(f"{_WORDS}delta", delay, overtakes=overtakes, delta=text, **common)
            case "many":
                for part in (text[:half], text[half:]):
                    yield self._say(f"{_WORDS}delta", delay, overtakes=overtakes, delta=part, **common)
            case "updated":
                yield self._say(f"{_WORDS}updated", delay, overtakes=overtakes, transcript=text[:half], **common)
            case "status":
                more = {"transcript": text[:half], "status": "in_progress"}
                yield self._say(f"{_WORDS}completed", delay, overtakes=overtakes, **more, **common)

    def _new_item(self) -> str:
        self._items += 1
        return f"item_{self._number}_{self._items}"

    # -- events -------------------------------------------------------------------------------------------------------

    def _error(self, code: str, message: str, event_id: str | None, kind: str = "invalid_request_error") -> Later:
        error = {"type": kind, "code": code, "message": message, "param": None, "event_id": event_id}
        return self._say("error", error=error)

    def _say(self, kind: str, delay: float = 0.0, *, overtakes: bool = False, **fields: Any) -> Later:
        self._events += 1
        ids = self._dials.ids
        for name in ("item_id", "previous_item_id"):
            if name not in fields:
                continue
            if ids == "none" or (ids == "at the start" and not kind.endswith("speech_started")):
                del fields[name]
            elif ids == "one" and fields[name]:
                fields[name] = "item"
        if ids == "strange" and kind.startswith("conversation.item") and fields.get("item_id"):
            fields["item_id"] = f"strange_{fields['item_id']}"
        return Later(delay, {"type": kind, "event_id": f"event_{self._number}_{self._events}", **fields}, overtakes)


def _runs(samples: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
    """Yield the ranges of speech and of silence."""
    edges = np.flatnonzero(np.diff((samples != 0).astype(np.int8))) + 1
    yield from (run for run in np.split(samples, edges) if run.size)
