"""The content of the live view as a value, updated by events. Pure.

A view is frozen, so that one thread can draw it while another makes the next one. Views are comparable, so that a
redraw happens only after a change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from rt_cli.audio.format import SILENCE_DBFS
from rt_cli.events import (
    ControlChanged,
    EndpointChosen,
    Failed,
    Final,
    KeysOffered,
    Partial,
    Progress,
    SessionChanged,
    SourceOpened,
    Withdrawn,
)
from rt_cli.output.status.messages import control_text, money, seconds, state_text
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from rt_cli.events import Event, Label

HOLD_S = 1.5
"""Time for which the mark of the highest peak does not move."""
MAX_TEXT = 4_096
"""Characters of a partial that are kept: the end, which is all that a terminal shows."""
FALL_DB_PER_S = 20.0
"""Speed at which the mark falls afterwards."""


class PeakHold(Struct, frozen=True):
    """The highest recent peak, held long enough to be visible."""

    level_dbfs: float = SILENCE_DBFS
    since_s: float = 0.0

    def take(self, peak_dbfs: float, now: float) -> PeakHold:
        """Return the hold after a peak at ``now`` (seconds, monotonic)."""
        if peak_dbfs >= self.mark_dbfs(now):
            return PeakHold(peak_dbfs, now)
        return self

    def mark_dbfs(self, now: float) -> float:
        """Return the level of the mark at ``now``, dBFS."""
        falling_s = max(0.0, now - self.since_s - HOLD_S)
        return max(SILENCE_DBFS, self.level_dbfs - FALL_DB_PER_S * falling_s)


class View(Struct, frozen=True):
    """Content of the live view. Texts are printable."""

    source: str = ""
    kind: str = ""
    duration_ms: int | None = None
    endpoint: str = ""
    model: str = ""
    remark: str = ""
    """What chose the endpoint, and what to know about it."""
    trouble: str = ""
    """Why there is no connection, and how long another one is tried; empty while there is one."""
    state: str = "connecting"
    captured_ms: int = 0
    acknowledged_ms: int = 0
    settled_ms: int = 0
    lag_ms: int = 0
    round_trip_ms: float | None = None
    rms_dbfs: float = SILENCE_DBFS
    held_dbfs: float = SILENCE_DBFS
    turn: int | None = None
    """The turn in progress, if it has a partial."""
    text: str = ""
    finals: int = 0
    eta_s: int | None = None
    """Estimated time until the whole file is acknowledged, at the average speed so far."""
    cost_text: str = ""
    """Amount of audio sent and its cost; empty if all audio is sent and there is no price."""
    control_state: str = ""
    """State of push-to-talk and mute; empty before the first change."""
    keys: str = ""
    """Keys and their meaning; empty without keys."""

    @property
    def share(self) -> float | None:
        """Acknowledged part of the source, 0..1; None if its length is unknown."""
        if not self.duration_ms:
            return None
        return min(1.0, self.acknowledged_ms / self.duration_ms)


class Viewer:
    """Updates the view with each event, and keeps the state that is not part of the view."""

    def __init__(self) -> None:
        self.view = View()
        self._hold = PeakHold()
        self._ever_ready = False
        self._trouble = ""
        self._give_up_at: float | None = None
        """When the run gives up, seconds; None if it has a connection, or no such limit."""
        self._first_ack: tuple[float, int] | None = None
        """Time of the first acknowledgement (seconds) and its amount of audio (milliseconds)."""

    def take(self, event: Event, now: float, _label: Label | None = None) -> bool:
        """Apply an event at ``now`` (seconds, monotonic); returns whether the view changed."""
        before = self.view
        match event:
            case SourceOpened():
                self._open(event)
            case EndpointChosen(where=where, model=model, reason=reason, remark=remark):
                notes = ", ".join(part for part in (remark, reason) if part)
                self.view = replace(before, endpoint=printable(where), model=printable(model), remark=printable(notes))
            case SessionChanged():
                self._session(event, now)
            case Progress():
                self._progress(event, now)
            case ControlChanged():
                self.view = replace(before, control_state=control_text(event))
            case KeysOffered(push_to_talk=push_to_talk):
                self.view = replace(before, keys=f"{'space talk  ' if push_to_talk else ''}m mute  q end")
            case Partial(turn=turn, text=text):
                self.view = replace(before, turn=turn, text=printable(text[-MAX_TEXT:]).strip())
            case Final():
                self.view = replace(self._without(event.turn), finals=before.finals + 1)
            case Withdrawn() | Failed():
                self.view = self._without(event.turn)
        return self.view != before

    def _open(self, source: SourceOpened) -> None:
        before = self.view
        self.view = View(
            source=printable(source.name),
            kind=source.kind,
            duration_ms=source.duration_ms,
            endpoint=before.endpoint,
            model=before.model,
            remark=before.remark,
            trouble=before.trouble,
            state=before.state,
            keys=before.keys,
        )
        self._hold, self._first_ack = PeakHold(), None

    def _session(self, event: SessionChanged, now: float) -> None:
        before = self.view
        if event.state == "lost":
            self._trouble = f"{event.reason or 'no connection'}; try {event.attempt}"
            if isinstance(event.give_up_ms, int):
                self._give_up_at = now + event.give_up_ms / 1000
        else:
            self._ever_ready = self._ever_ready or event.state != "closed"
            self._trouble, self._give_up_at = "", None
        self.view = replace(
            before,
            state=self._state(event.state),
            endpoint=before.endpoint or printable(event.endpoint),
            model=before.model or printable(event.model),
            trouble=self._trouble_at(now),
        )

    def _state(self, state: str) -> str:
        """Return the words for a state: what was never there cannot be lost."""
        return "connecting" if state == "lost" and not self._ever_ready else printable(state_text(state))

    def _trouble_at(self, now: float) -> str:
        if self._give_up_at is None:
            return printable(self._trouble)
        return printable(f"{self._trouble}, given up in {max(0, round(self._give_up_at - now))} s")

    def _progress(self, progress: Progress, now: float) -> None:
        self._hold = self._hold.take(progress.peak_dbfs, now)
        if self._first_ack is None and progress.acknowledged_ms > 0:
            self._first_ack = now, progress.acknowledged_ms
        self.view = replace(
            self.view,
            state=self._state(progress.state),
            trouble=self._trouble_at(now),
            captured_ms=progress.captured_ms,
            acknowledged_ms=progress.acknowledged_ms,
            settled_ms=progress.settled_ms,
            lag_ms=progress.lag_ms,
            round_trip_ms=progress.round_trip_ms,
            rms_dbfs=progress.rms_dbfs,
            held_dbfs=self._hold.mark_dbfs(now),
            eta_s=self._eta_s(progress.acknowledged_ms, now),
            cost_text=_cost_text(progress),
        )

    def _eta_s(self, acknowledged_ms: int, now: float) -> int | None:
        if self._first_ack is None or self.view.duration_ms is None:
            return None
        since, first_ms = self._first_ack
        if acknowledged_ms <= first_ms or now <= since:
            return None
        per_s = (acknowledged_ms - first_ms) / (now - since)
        return round(max(0, self.view.duration_ms - acknowledged_ms) / per_s)

    def _without(self, turn: int) -> View:
        """Return the view without the text of ``turn``."""
        return replace(self.view, turn=None, text="") if self.view.turn == turn else self.view


def _cost_text(progress: Progress) -> str:
    if progress.cost is not None:
        return f"sent {seconds(progress.sent_ms)}, {printable(money(progress.cost))}"
    # Less audio sent than acknowledged on the timeline: some of it was skipped.
    return f"sent {seconds(progress.sent_ms)}" if progress.sent_ms < progress.acknowledged_ms else ""
