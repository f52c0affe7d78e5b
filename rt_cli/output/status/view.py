"""What the live view shows, as a value: events in, the next view out. Pure.

Being frozen, a view can be drawn by one thread while the next one is made by another; being comparable, it tells
whether there is anything new to draw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from rt_cli.audio.format import SILENCE_DBFS
from rt_cli.events import (
    ControlChanged,
    Failed,
    Final,
    KeysOffered,
    Partial,
    Progress,
    SessionChanged,
    SourceOpened,
    Withdrawn,
)
from rt_cli.output.status.messages import controls, money, seconds
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from rt_cli.events import Event, Label

HOLD_S = 1.5
"""How long the highest peak stays where it is."""
FALL_DB_PER_S = 20.0
"""How fast it comes down after that."""


class PeakHold(Struct, frozen=True):
    """The highest peak of late, which the eye can catch."""

    level_dbfs: float = SILENCE_DBFS
    since_s: float = 0.0

    def take(self, peak_dbfs: float, now: float) -> PeakHold:
        """The hold after a peak at ``now`` (seconds, monotonic)."""
        if peak_dbfs >= self.shown(now):
            return PeakHold(peak_dbfs, now)
        return self

    def shown(self, now: float) -> float:
        """Where the mark stands at ``now``, dBFS."""
        falling_s = max(0.0, now - self.since_s - HOLD_S)
        return max(SILENCE_DBFS, self.level_dbfs - FALL_DB_PER_S * falling_s)


class View(Struct, frozen=True):
    """Everything that is on the screen. Texts are fit for a terminal."""

    source: str = ""
    kind: str = ""
    duration_ms: int | None = None
    endpoint: str = ""
    model: str = ""
    state: str = "connecting"
    captured_ms: int = 0
    acknowledged_ms: int = 0
    settled_ms: int = 0
    lag_ms: int = 0
    round_trip_ms: float | None = None
    rms_dbfs: float = SILENCE_DBFS
    held_dbfs: float = SILENCE_DBFS
    turn: int | None = None
    """The turn in progress, where it has a partial."""
    text: str = ""
    finals: int = 0
    eta_s: int | None = None
    """Until the file is acknowledged, at the speed so far."""
    bill: str = ""
    """How much was sent and what it costs, where that is worth knowing."""
    heard: str = ""
    """Who is heard, where that was controlled."""
    keys: str = ""
    """What keys do, where there are any."""

    @property
    def share(self) -> float | None:
        """How much of the source is acknowledged, 0..1; None where its length is unknown."""
        if not self.duration_ms:
            return None
        return min(1.0, self.acknowledged_ms / self.duration_ms)


class Viewer:
    """Makes the next view out of each event; keeps what is needed for it but not shown."""

    def __init__(self) -> None:
        self.view = View()
        self._hold = PeakHold()
        self._first: tuple[float, int] | None = None
        """When the first sound was acknowledged, seconds, and how much it was, milliseconds."""

    def take(self, event: Event, now: float, _label: Label | None = None) -> bool:
        """Take an event at ``now`` (seconds, monotonic); True if there is something new to see."""
        before = self.view
        match event:
            case SourceOpened():
                self._open(event)
            case SessionChanged(state=state, endpoint=endpoint, model=model):
                self.view = replace(
                    before, state=state.replace("_", " "), endpoint=printable(endpoint), model=printable(model)
                )
            case Progress():
                self._progress(event, now)
            case ControlChanged():
                self.view = replace(before, heard=controls(event))
            case KeysOffered(push_to_talk=push_to_talk):
                self.view = replace(before, keys=f"{'space talk  ' if push_to_talk else ''}m mute  q end")
            case Partial(turn=turn, text=text):
                self.view = replace(before, turn=turn, text=printable(text).strip())
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
            state=before.state,
            keys=before.keys,
        )
        self._hold, self._first = PeakHold(), None

    def _progress(self, progress: Progress, now: float) -> None:
        self._hold = self._hold.take(progress.peak_dbfs, now)
        if self._first is None and progress.acknowledged_ms > 0:
            self._first = now, progress.acknowledged_ms
        self.view = replace(
            self.view,
            state=printable(progress.state),
            captured_ms=progress.captured_ms,
            acknowledged_ms=progress.acknowledged_ms,
            settled_ms=progress.settled_ms,
            lag_ms=progress.lag_ms,
            round_trip_ms=progress.round_trip_ms,
            rms_dbfs=progress.rms_dbfs,
            held_dbfs=self._hold.shown(now),
            eta_s=self._eta_s(progress.acknowledged_ms, now),
            bill=_bill(progress),
        )

    def _eta_s(self, acknowledged_ms: int, now: float) -> int | None:
        if self._first is None or self.view.duration_ms is None:
            return None
        since, first_ms = self._first
        if acknowledged_ms <= first_ms or now <= since:
            return None
        per_s = (acknowledged_ms - first_ms) / (now - since)
        return round(max(0, self.view.duration_ms - acknowledged_ms) / per_s)

    def _without(self, turn: int) -> View:
        """The view after the text of ``turn`` went elsewhere."""
        return replace(self.view, turn=None, text="") if self.view.turn == turn else self.view


def _bill(progress: Progress) -> str:
    if progress.cost is not None:
        return f"sent {seconds(progress.sent_ms)}, {printable(money(progress.cost))}"
    # Less than was read of the timeline: some of it was left out.
    return f"sent {seconds(progress.sent_ms)}" if progress.sent_ms < progress.acknowledged_ms else ""
