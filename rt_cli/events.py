"""The events of a run, as frozen values: the only input of output and status.

Times are integer milliseconds on the timeline of the source (0 = first captured sample) unless a name says otherwise.
Events marked "NDJSON" are the contract for scripts; the others are for the status only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

SessionState = Literal["ready", "stalled", "lost", "resumed", "rolled_over", "closed"]


class Label(Struct, frozen=True):
    """Source and channel of an event, if there are several sources."""

    source: str
    """Name of the source as the user wrote it."""
    channel: str | None = None
    """Channel, if the channels of the source are transcribed separately."""

    def __str__(self) -> str:
        """Return source and channel, separated by a space."""
        return f"{self.source} {self.channel}" if self.channel else self.source


class SessionChanged(Struct, frozen=True):
    """The state of the connection to the endpoint changed. NDJSON ``session``."""

    state: SessionState
    endpoint: str
    """URL without secrets."""
    dialect: str
    model: str
    rate_hz: int
    attempt: int = 1
    reason: str | None = None


class Partial(Struct, frozen=True):
    """The whole text of a turn so far. NDJSON ``partial``."""

    turn: int
    text: str
    start_ms: int | None = None


class Withdrawn(Struct, frozen=True):
    """The partials of a turn are void; its audio will be sent again. NDJSON ``withdrawn``."""

    turn: int


class Final(Struct, frozen=True):
    """The final text of a turn. NDJSON ``final``."""

    turn: int
    text: str
    start_ms: int | None = None
    end_ms: int | None = None
    approx: bool = False
    """The endpoint sends no offsets: the range is a guess."""
    language: str | None = None
    latency_ms: int | None = None
    """Time from the end of speech to the final."""
    resumed: bool = False


class Failed(Struct, frozen=True):
    """The endpoint could not transcribe a turn. NDJSON ``failed``; a :class:`Dropped` with the range follows."""

    turn: int
    start_ms: int
    end_ms: int
    code: str
    message: str


class Dropped(Struct, frozen=True):
    """A range of the timeline that no final will cover. NDJSON ``dropped``."""

    start_ms: int
    end_ms: int
    reason: str


class Warned(Struct, frozen=True):
    """A problem that does not end the run. NDJSON ``warning``."""

    code: str
    message: str


class Noted(Struct, frozen=True):
    """A message for the status only."""

    message: str


class Errored(Struct, frozen=True):
    """The error that ends a run; the summary follows. NDJSON ``error``."""

    code: str
    message: str
    hint: str | None = None


class Ledger(Struct, frozen=True):
    """Where every captured sample is, in samples at the wire rate.

    ``captured = settled + acknowledged + in_flight + waiting + dropped`` at every instant; ``padding`` is silence
    that ``rt`` added, and is not part of the sum.
    """

    captured: int
    settled: int
    acknowledged: int
    in_flight: int
    waiting: int
    dropped: int
    padding: int

    @property
    def balanced(self) -> bool:
        """Whether the equation holds."""
        parts = self.settled + self.acknowledged + self.in_flight + self.waiting + self.dropped
        return self.captured == parts


class Latency(Struct, frozen=True):
    """Time from the end of speech to the final over a run, milliseconds."""

    p50: int
    p95: int
    max: int


class Cost(Struct, frozen=True):
    """Cost of the sent audio at the configured price."""

    amount: float
    currency: str


class Summary(Struct, frozen=True):
    """The summary of one source. NDJSON ``summary``; the last line of a run with one source."""

    source: str
    exit: int
    complete: bool
    rate_hz: int
    ledger: Ledger
    finals: int
    reconnects: int
    wall_ms: int
    latency_ms: Latency | None = None
    skipped: bool = False
    """Nothing was sent, because an earlier run finished this source."""
    sent: int = 0
    """Samples sent on all connections, including padding and audio sent again."""
    gated: int = 0
    """Samples captured but not sent, because of ``--gate``, push-to-talk or mute."""
    cost: Cost | None = None
    """None without a configured price."""


class Total(Struct, frozen=True):
    """The total of several sources. NDJSON ``total``; the last line."""

    exit: int
    sources: int
    finals: int
    failed_sources: int
    captured_ms: int
    settled_ms: int
    dropped_ms: int
    wall_ms: int
    skipped: int = 0


class SourceOpened(Struct, frozen=True):
    """A source is open and capture has started. For the status; the following events belong to this source."""

    name: str
    kind: str
    rate_hz: int
    channels: int
    wire_rate_hz: int
    duration_ms: int | None


class Progress(Struct, frozen=True):
    """Marks and audio level, at most ten times a second. For the status."""

    captured_ms: int
    acknowledged_ms: int
    settled_ms: int
    lag_ms: int
    """Audio captured but not yet acknowledged."""
    rms_dbfs: float
    peak_dbfs: float
    round_trip_ms: float | None
    state: str
    """connecting, ready, stalled, draining, ..."""
    sent_ms: int = 0
    """Audio sent on all connections."""
    cost: Cost | None = None
    """Cost of the sent audio; None without a configured price."""


class ControlChanged(Struct, frozen=True):
    """The user started or stopped talking (push-to-talk), or changed mute. NDJSON ``control``."""

    at_ms: int
    muted: bool
    """Silence replaces the audio."""
    talking: bool | None
    """Whether audio is sent; None without push-to-talk."""


class KeysOffered(Struct, frozen=True):
    """Keys of the terminal control the run. For the live view."""

    push_to_talk: bool


Event = (
    SessionChanged
    | Partial
    | Withdrawn
    | Final
    | Failed
    | Dropped
    | Warned
    | Noted
    | Errored
    | Summary
    | Total
    | SourceOpened
    | Progress
    | ControlChanged
    | KeysOffered
)
"""All events that an event handler may receive."""

EventHandler = Callable[[Event], None]
"""Called on the event loop; must return at once and must not raise."""
