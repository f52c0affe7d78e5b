"""What happened, as frozen values: the only thing that output and status ever see.

Times are integer milliseconds on the timeline of the source (0 = first captured sample) unless a name says otherwise.
The wire form of the first group is the NDJSON contract; the second group is for the live view alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

SessionState = Literal["ready", "stalled", "lost", "resumed", "rolled_over", "closed"]


class Label(Struct, frozen=True):
    """Whose events these are, where there may be several."""

    source: str
    """As it was named by the user."""
    channel: str | None = None
    """Where the channels of the source are told apart."""

    def __str__(self) -> str:
        """In words."""
        return f"{self.source} {self.channel}" if self.channel else self.source


class SessionChanged(Struct, frozen=True):
    """The connection to the endpoint changed its state. NDJSON ``session``."""

    state: SessionState
    endpoint: str
    """URL without secrets."""
    dialect: str
    model: str
    rate_hz: int
    attempt: int = 1
    reason: str | None = None


class Partial(Struct, frozen=True):
    """The text of a turn so far; all of it, not the news. NDJSON ``partial``."""

    turn: int
    text: str
    start_ms: int | None = None


class Withdrawn(Struct, frozen=True):
    """The partials of a turn are void; it will be heard again. NDJSON ``withdrawn``."""

    turn: int


class Final(Struct, frozen=True):
    """The text of a turn; it will not change any more. NDJSON ``final``."""

    turn: int
    text: str
    start_ms: int | None = None
    end_ms: int | None = None
    approx: bool = False
    """The endpoint gives no offsets: the range is a guess."""
    language: str | None = None
    latency_ms: int | None = None
    """End of speech to final."""
    resumed: bool = False


class Failed(Struct, frozen=True):
    """The endpoint could not transcribe a turn. NDJSON ``failed``; a :class:`Dropped` with the range follows."""

    turn: int
    start_ms: int
    end_ms: int
    code: str
    message: str


class Dropped(Struct, frozen=True):
    """A hole: a range of the timeline that will be in no final. NDJSON ``dropped``."""

    start_ms: int
    end_ms: int
    reason: str


class Warned(Struct, frozen=True):
    """Something a user should know that does not end the run. NDJSON ``warning``."""

    code: str
    message: str


class Noted(Struct, frozen=True):
    """Something said once, for people only."""

    message: str


class Errored(Struct, frozen=True):
    """The cause of the end of a run; the summary follows. NDJSON ``error``."""

    code: str
    message: str
    hint: str | None = None


class Ledger(Struct, frozen=True):
    """Where every captured sample is, in samples at the wire rate.

    ``captured = settled + acknowledged + in_flight + waiting + dropped`` at every instant; ``padding`` is silence that
    we added and stands outside.
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
        """Whether the sum holds."""
        parts = self.settled + self.acknowledged + self.in_flight + self.waiting + self.dropped
        return self.captured == parts


class Latency(Struct, frozen=True):
    """End of speech to final over a run, milliseconds."""

    p50: int
    p95: int
    max: int


class Cost(Struct, frozen=True):
    """What the sound that was sent costs, at the price that the configuration gives."""

    amount: float
    currency: str


class Summary(Struct, frozen=True):
    """The account of one source. NDJSON ``summary``; the last line of a run with one source."""

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
    """Nothing was sent: an earlier run had finished it."""
    sent: int = 0
    """Samples that went over the wire, on all connections: silence that was added, and what was sent again."""
    gated: int = 0
    """Samples that were captured and not sent, as nobody spoke or wanted to be heard."""
    cost: Cost | None = None
    """Where there is a price."""


class Total(Struct, frozen=True):
    """The account of several sources. NDJSON ``total``, last."""

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
    """A source is open and its sound is being captured. For the live view; also names the source of what follows."""

    name: str
    kind: str
    rate_hz: int
    channels: int
    wire_rate_hz: int
    duration_ms: int | None


class Progress(Struct, frozen=True):
    """The marks and the level, at most ten times a second. For the live view."""

    captured_ms: int
    acknowledged_ms: int
    settled_ms: int
    lag_ms: int
    """Captured but not yet acknowledged."""
    rms_dbfs: float
    peak_dbfs: float
    round_trip_ms: float | None
    state: str
    """connecting, ready, stalled, draining, ..."""
    sent_ms: int = 0
    """Sent on all connections."""
    cost: Cost | None = None
    """Of what was sent, where there is a price."""


class ControlChanged(Struct, frozen=True):
    """A person has taken the word, given it up, or was muted. NDJSON ``control``."""

    at_ms: int
    muted: bool
    """Silence takes the place of the sound."""
    talking: bool | None
    """Whether what is said is sent; None without push to talk."""


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
"""Everything an observer may be told."""

EventHandler = Callable[[Event], None]
"""Told synchronously on the event loop; must return at once and must not raise."""
