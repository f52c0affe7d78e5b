"""The events of a run, as frozen values: the only input of output and status.

Times are integer milliseconds on the timeline of the source (0 = first captured sample) unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, Struct, UnsetType

if TYPE_CHECKING:
    from rt_cli.errors import RtError

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


class ContractEvent(Struct, frozen=True, tag_field="type"):
    """An event of the contract for scripts: the fields of its class are the fields of its NDJSON line, in this order.

    A field that may be absent is UNSET then; None is ``null``. Lines of several sources also have ``source`` and
    ``channel``, after ``type``.
    """


class SessionChanged(ContractEvent, frozen=True, tag="session"):
    """The state of the connection to the endpoint changed."""

    state: SessionState
    endpoint: str
    """URL without secrets."""
    dialect: str
    model: str
    rate_hz: int
    attempt: int = 1
    reason: str | UnsetType = UNSET


class Partial(ContractEvent, frozen=True, tag="partial"):
    """The whole text of a turn so far."""

    turn: int
    text: str
    start_ms: int | UnsetType = UNSET


class Withdrawn(ContractEvent, frozen=True, tag="withdrawn"):
    """The partials of a turn are void; its audio will be sent again."""

    turn: int


class Final(ContractEvent, frozen=True, tag="final"):
    """The final text of a turn."""

    turn: int
    text: str
    start_ms: int | UnsetType = UNSET
    end_ms: int | UnsetType = UNSET
    approx: bool | UnsetType = UNSET
    """True if the endpoint sends no offsets: the range is a guess. Never False."""
    language: str | UnsetType = UNSET
    latency_ms: int | UnsetType = UNSET
    """Time from the end of speech to the final."""
    resumed: bool | UnsetType = UNSET
    """True if an earlier connection or process had sent a part of the audio. Never False."""


class Failed(ContractEvent, frozen=True, tag="failed"):
    """The endpoint could not transcribe a turn.; a :class:`Dropped` with the range follows."""

    turn: int
    start_ms: int
    end_ms: int
    code: str
    message: str


class Dropped(ContractEvent, frozen=True, tag="dropped"):
    """A range of the timeline that no final will cover."""

    start_ms: int
    end_ms: int
    reason: str


class Warned(ContractEvent, frozen=True, tag="warning"):
    """A problem that does not end the run."""

    code: str
    message: str


class Noted(Struct, frozen=True):
    """A message for the status only."""

    message: str


class Errored(ContractEvent, frozen=True, tag="error"):
    """The error that ends a run; the summary follows."""

    code: str
    message: str
    hint: str | UnsetType = UNSET


def error_event(error: RtError) -> Errored:
    """Return the event of the error that ends a run."""
    return Errored(error.code, error.message, error.hint or UNSET)


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


class Summary(ContractEvent, frozen=True, tag="summary", kw_only=True):
    """The summary of one source.; the last line of a run with one source."""

    source: str
    channel: str | UnsetType = UNSET
    """Set where the line is written, if channels are transcribed separately."""
    skipped: bool | UnsetType = UNSET
    """True if nothing was sent, because an earlier run finished this source. Never False."""
    exit: int
    complete: bool
    rate_hz: int
    captured_ms: int
    settled_ms: int
    dropped_ms: int
    ledger: Ledger
    sent_ms: int
    """Audio sent on all connections, including padding and audio sent again."""
    gated_ms: int
    """Audio captured but not sent, because of ``--gate``, push-to-talk or mute."""
    cost: Cost | UnsetType = UNSET
    """Absent without a configured price."""
    finals: int
    reconnects: int
    latency_ms: Latency | None
    """None without a measured final."""
    wall_ms: int


class Total(ContractEvent, frozen=True, tag="total"):
    """The total of several sources.; the last line."""

    exit: int
    sources: int
    finals: int
    failed_sources: int
    captured_ms: int
    settled_ms: int
    dropped_ms: int
    wall_ms: int
    skipped: int | UnsetType = UNSET
    """Sources that earlier runs finished; absent instead of 0."""


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


class ControlChanged(ContractEvent, frozen=True, tag="control"):
    """The user started or stopped talking (push-to-talk), or changed mute."""

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
