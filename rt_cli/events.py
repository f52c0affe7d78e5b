"""The events of a run, as frozen values: the only input of output and status.

Times are integer milliseconds on the timeline of the source (0 = first captured sample) unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Struct, UnsetType

from rt_cli.contract import SINCE_0_2, ContractEvent
from rt_cli.conversation_events import ConversationReport
from rt_cli.turn_events import (
    Failed,
    Final,
    Partial,
    SpeechBegan,
    SpeechEnded,
    Translation,
    TurnSegment,
    TurnUsage,
    Withdrawn,
)

if TYPE_CHECKING:
    from rt_cli.errors import RtError

__all__ = [
    "SCHEMA",
    "ControlChanged",
    "Cost",
    "Dropped",
    "EndpointChosen",
    "Errored",
    "Event",
    "EventHandler",
    "Failed",
    "Final",
    "KeysOffered",
    "Label",
    "Latency",
    "Ledger",
    "LossReason",
    "Noted",
    "Partial",
    "Progress",
    "RawEvent",
    "SessionChanged",
    "SessionState",
    "SourceOpened",
    "SpeechBegan",
    "SpeechEnded",
    "Summary",
    "Total",
    "Translation",
    "TurnSegment",
    "TurnUsage",
    "Warned",
    "Withdrawn",
    "error_event",
]

SCHEMA = 2  # of the NDJSON contract; 1 had no ``source`` line

SessionState = Literal["ready", "stalled", "lost", "resumed", "rolled_over", "closed"]
LossReason = Literal["overflow", "device_lost", "suspended", "full", "failed", "no_final", "refused", "damaged"]
"""Why a range of the timeline is a hole."""


class Label(Struct, frozen=True):
    """Source and channel of an event, if there are several sources."""

    source: str
    """Name of the source as the user wrote it."""
    channel: str | None = None
    """Channel, if the channels of the source are transcribed separately."""

    def __str__(self) -> str:
        """Return source and channel, separated by a space."""
        return f"{self.source} {self.channel}" if self.channel else self.source


class SessionChanged(ContractEvent, frozen=True, tag="session"):
    """The state of the connection to the endpoint changed."""

    state: SessionState
    """``ready``: audio is sent, for the first time or after a stall. ``stalled``: the endpoint does not read.
    ``lost``: the connection broke. ``resumed``: a new one took over after that. ``rolled_over``: a new one took over
    as planned. ``closed``: the last one ended in order."""
    endpoint: str
    """URL without secrets."""
    dialect: str
    """Variant of the protocol that the endpoint speaks, as ``--dialect``."""
    model: str
    """Transcription model that the endpoint was asked for."""
    rate_hz: int
    """Sample rate of the audio on the wire."""
    attempt: int = 1
    """Number of the connection in this run, from 1."""
    reason: str | UnsetType = UNSET
    """What happened, in words for people."""
    session_id: Annotated[str | UnsetType, SINCE_0_2] = UNSET
    """The endpoint's own name of the session, from its ``session.created``."""
    request_id: Annotated[str | UnsetType, SINCE_0_2] = UNSET
    """The endpoint's own name of the request, from the headers of its handshake: support asks for it."""
    captured_ms: Annotated[int | UnsetType, SINCE_0_2] = UNSET
    """Audio captured until a connection was lost."""
    give_up_ms: Annotated[int | UnsetType, SINCE_0_2] = UNSET
    """Time until the run gives up, if no connection succeeds before. Only of ``lost``."""
    outage_ms: Annotated[int | UnsetType, SINCE_0_2] = UNSET
    """Time from the loss of a connection until another one took over. Only of ``resumed``."""
    resent_ms: Annotated[int | UnsetType, SINCE_0_2] = UNSET
    """Audio that had been sent on the lost connection, had no final there, and is sent again. Only of ``resumed``."""


class Dropped(ContractEvent, frozen=True, tag="dropped"):
    """A range of the timeline that no final will cover."""

    start_ms: int
    """Start of the range."""
    end_ms: int
    """End of the range."""
    reason: LossReason
    """``overflow``: samples were lost before ``rt`` got them. ``device_lost``: the microphone was away.
    ``suspended``: the machine slept. ``full``: too much audio waited. ``failed``: the endpoint could not transcribe it.
    ``no_final``: no final came in time. ``refused``: the endpoint did not take it. ``damaged``: the file cannot be
    decoded there."""


class Warned(ContractEvent, frozen=True, tag="warning"):
    """A problem that does not end the run."""

    code: str
    """Which problem, in ``snake_case``: rt's own, or as the endpoint sent it."""
    message: str
    """What happened, for people."""
    minor: Annotated[bool | UnsetType, SINCE_0_2] = UNSET
    """True if it costs nothing, so that stderr does not say it. Never False."""


class Noted(Struct, frozen=True):
    """A message for the status only."""

    message: str


class EndpointChosen(Struct, frozen=True):
    """The endpoint of the run (``embedded``, or host and port), what chose it, what to know of it. For the status."""

    where: str
    model: str
    reason: str
    remark: str = ""


class Errored(ContractEvent, frozen=True, tag="error"):
    """The error that ends a run; the summary follows."""

    code: str
    """Which error, in ``snake_case``; the exit code is in the summary."""
    message: str
    """What happened, for people."""
    hint: str | UnsetType = UNSET
    """What to do about it."""


def error_event(error: RtError) -> Errored:
    """Return the event of the error that ends a run."""
    return Errored(error.code, error.message, error.hint or UNSET)


class Ledger(Struct, frozen=True):
    """Where every captured sample is, in samples at the wire rate.

    ``captured = settled + acknowledged + in_flight + waiting + dropped`` at every instant; ``padding`` is silence
    that ``rt`` added, and is not part of the sum.
    """

    captured: int = 0
    """All samples of the timeline."""
    settled: int = 0
    """In a printed final, or known to be silence."""
    acknowledged: int = 0
    """Read by the endpoint, without a final yet."""
    in_flight: int = 0
    """Sent, and not known to be read."""
    waiting: int = 0
    """Not sent yet."""
    dropped: int = 0
    """In no final: the sum of the ``dropped`` ranges."""
    padding: int = 0
    """Silence that ``rt`` added at the end; not captured, and so not part of the sum."""

    @property
    def balanced(self) -> bool:
        """Whether the equation holds."""
        parts = self.settled + self.acknowledged + self.in_flight + self.waiting + self.dropped
        return self.captured == parts


class Latency(Struct, frozen=True):
    """Time from the end of speech to the final over a run, milliseconds."""

    p50: int
    """Median."""
    p95: int
    """Of 100 finals 95 are at most so late."""
    max: int
    """The latest final."""


class Cost(Struct, frozen=True):
    """Cost of the sent audio at the configured price."""

    amount: float
    """Price for all audio sent, in the currency."""
    currency: str
    """Currency as configured."""


class Summary(ContractEvent, frozen=True, tag="summary", kw_only=True):
    """The summary of one source; the last line of a run with one source."""

    source: str
    """The file as it was named, ``-`` for stdin, or the name of the microphone."""
    channel: str | UnsetType = UNSET
    """Set where the line is written, if channels are transcribed separately."""
    skipped: bool | UnsetType = UNSET
    """True if nothing was sent, because an earlier run finished this source. Never False."""
    exit: int
    """Exit code of the source."""
    complete: bool
    """Whether every sample is settled."""
    rate_hz: int
    """Sample rate of the ledger; 0 if the source never opened."""
    captured_ms: int = 0
    """Audio captured."""
    settled_ms: int = 0
    """Audio in a printed final, or known to be silence."""
    dropped_ms: int = 0
    """Audio that no final covers."""
    ledger: Ledger
    """Where every captured sample is."""
    sent_ms: int = 0
    """Audio sent on all connections, including padding and audio sent again."""
    gated_ms: int = 0
    """Audio captured but not sent, because of ``--gate``, push-to-talk or mute."""
    cost: Cost | UnsetType = UNSET
    """Absent without a configured price."""
    finals: int = 0
    """Number of finals."""
    translations: Annotated[int | UnsetType, SINCE_0_2] = UNSET
    """Number of translations with words; absent without ``--translate``."""
    unwritten: int | UnsetType = UNSET
    """Finals with words that found no reader. Absent instead of 0."""
    reconnects: int = 0
    """Number of connections after the first."""
    latency_ms: Latency | None = None
    """Time from the end of speech to the final; None without a measured final."""
    wall_ms: int
    """Duration of the run by the clock."""
    replies: Annotated[int | UnsetType, SINCE_0_2] = UNSET
    """Replies of ``rt talk``; absent elsewhere, as the next two."""
    interruptions: Annotated[int | UnsetType, SINCE_0_2] = UNSET
    """Replies that the user interrupted."""
    tool_calls: Annotated[int | UnsetType, SINCE_0_2] = UNSET
    """Tools that were run."""


class Total(ContractEvent, frozen=True, tag="total"):
    """The total of several sources; the last line."""

    exit: int
    """Exit code of the run."""
    sources: int
    """Number of sources."""
    finals: int
    """Number of finals of all sources."""
    failed_sources: int
    """Number of sources whose exit code is not 0."""
    captured_ms: int
    """Audio captured from all sources."""
    settled_ms: int
    """Of that, audio in a printed final or known to be silence."""
    dropped_ms: int
    """Of that, audio that no final covers."""
    wall_ms: int
    """Duration of the run by the clock."""
    skipped: int | UnsetType = UNSET
    """Sources that earlier runs finished; absent instead of 0."""


class SourceOpened(ContractEvent, frozen=True, tag="source"):
    """A source is open and capture begins: the first line of the source."""

    since = "0.2"
    source: str
    """Name of the source as the user wrote it."""
    kind: str
    """``file``, ``pipe`` or ``microphone``."""
    rate_hz: int
    """Sample rate of the source itself; of a pipe as stated or assumed, since its header is read only later."""
    channels: int
    """Channels of the source itself."""
    wire_rate_hz: int
    """Sample rate that is sent; all counts of samples are at this rate."""
    duration_ms: int | None = None
    """Length of the source; None if it is unknown."""
    device: str | UnsetType = UNSET
    """Name of the device, if the source is a microphone."""
    began: str | UnsetType = UNSET
    """Wall clock at the start of capture, 0 of the timeline: UTC, ISO 8601 with milliseconds."""
    rt: str | UnsetType = UNSET
    """Version of ``rt``."""
    schema: int = SCHEMA
    """Version of these lines."""

    @property
    def name(self) -> str:
        """Name for people: that of the device, if there is one."""
        return self.device or self.source


class Progress(ContractEvent, frozen=True, tag="progress"):
    """How far a source is, and how loud: a heartbeat, as often as ``--progress`` says."""

    since = "0.2"
    captured_ms: int
    """Audio captured."""
    acknowledged_ms: int
    """Audio up to which the endpoint has read everything."""
    settled_ms: int
    """Audio up to which everything is in a final, or known to need none."""
    lag_ms: int
    """Audio captured but not yet acknowledged."""
    rms_dbfs: float
    """Mean level since the last measurement, at most 0.1 s before, dBFS."""
    peak_dbfs: float
    """Highest sample since then, dBFS."""
    round_trip_ms: float | None
    """The shortest round trip of the last half minute; None before the first."""
    state: str
    """``connecting``, ``ready``, ``stalled``, ``lost``, ``draining`` or ``closed``."""
    sent_ms: int = 0
    """Audio sent on all connections."""
    cost: Cost | None = None
    """Cost of the sent audio; None without a configured price."""


class ControlChanged(ContractEvent, frozen=True, tag="control"):
    """The user started or stopped talking (push-to-talk), or changed mute."""

    at_ms: int
    """When, on the timeline."""
    muted: bool
    """Silence replaces the audio."""
    talking: bool | None
    """Whether audio is sent; None without push-to-talk."""


class RawEvent(ContractEvent, frozen=True, tag="raw"):
    """An event of the endpoint as it came; only with ``--raw``."""

    since = "0.2"
    event: dict[str, Any] | str
    """The event, with audio replaced by its size and secrets masked; a text if it is no JSON object."""


class KeysOffered(Struct, frozen=True):
    """Keys of the terminal control the run. For the live view."""

    push_to_talk: bool


Event = (
    SessionChanged
    | Partial
    | SpeechBegan
    | SpeechEnded
    | TurnSegment
    | Withdrawn
    | Final
    | Translation
    | Failed
    | Dropped
    | Warned
    | Noted
    | EndpointChosen
    | Errored
    | Summary
    | Total
    | SourceOpened
    | Progress
    | ControlChanged
    | RawEvent
    | KeysOffered
    | ConversationReport
)
"""All events that an event handler may receive."""

EventHandler = Callable[[Event], None]
"""Called on the event loop; must return at once and must not raise."""
