"""Messages for stderr: one line for each event that a user should know. Pure.

Only an error starts with ``rt:``, so that a search for ``rt:`` finds the cause of a failure and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import UNSET
from msgspec.structs import replace

from rt_cli.audio.format import to_ms
from rt_cli.events import (
    ControlChanged,
    Cost,
    Dropped,
    EndpointChosen,
    Errored,
    Failed,
    Noted,
    SessionChanged,
    SourceOpened,
    Summary,
    Total,
    Warned,
)
from rt_cli.masking import without_secrets
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from rt_cli.events import Event, Label

Level = Literal["all", "warnings", "errors"]
"""Level of messages: all changes, only warnings and errors, or only the error that ended the run."""

_STATES = {"draining": "waiting for the last words"}
"""States of a connection in other words than those of the events."""
_LOSSES = {
    "damaged": "the file is damaged there",
    "device_lost": "the microphone was away",
    "full": "too much of it waited",
    "no_final": "no words came for it",
    "overflow": "this machine was too busy to take it",
    "refused": "the endpoint refused it",
    "suspended": "this machine was suspended",
}
"""Why a range of the timeline is lost, by the reason of the event."""


def state_text(state: str) -> str:
    """Return the words for the state of a connection."""
    return _STATES.get(state, state.replace("_", " "))


class Notes:
    """Formats the message of each event; of an outage only its beginning and its end.

    Args:
        level: Level of messages.
    """

    def __init__(self, level: Level) -> None:
        self._level = level
        self._devices: dict[Label | None, str] = {}
        self._outages: dict[Label | None, bool] = {}
        """Sources without a connection at present, and whether some of their audio was lost since then."""

    def take(self, event: Event, label: Label | None = None, *, level: Level | None = None) -> str | None:
        """Return the message of an event as :func:`note` does, or None.

        Args:
            event: The event.
            label: Source of the event, if several run at the same time.
            level: For this event, instead of that of the constructor.
        """
        level = self._level if level is None else level
        match event:
            case SourceOpened(device=str(device)):
                self._devices[label] = device
            case Summary() if label in self._devices and label is None:
                event = replace(event, source=self._devices.pop(label))
            case SessionChanged(state="lost") if label in self._outages:
                return None
            case SessionChanged(state="lost"):
                self._outages[label] = False
            case Dropped() if label in self._outages:
                self._outages[label] = True
            case SessionChanged():
                hole = self._outages.pop(label, False)
                if event.state == "resumed" and not hole:
                    return _add_labels(f"{_session(event)}, nothing lost", label) if level == "all" else None
        return note(event, level, label)


def note(event: Event, level: Level = "all", label: Label | None = None) -> str | None:
    """Format the message for an event: printable, without a line end; None if the event has no message.

    Args:
        event: The event.
        level: Level of messages.
        label: Source of the event, if several run at the same time.
    """
    if isinstance(event, Summary) and label is not None:
        event = replace(event, source=str(label))
    text = _error(event, level)
    if text is None and level != "errors":
        text = _warning(event)
    if text is None and level == "all":
        text = _info(event)
    return None if text is None else _add_labels(text, label)


def _add_labels(text: str, label: Label | None) -> str:
    return without_secrets(printable(text if label is None else _add_label(text, label)))


def _add_label(text: str, label: Label) -> str:
    """Add the label, after a prefix that scripts search for."""
    if str(label) in text:
        return text
    for prefix in ("rt: ", "warning: "):
        if text.startswith(prefix):
            return f"{prefix}{label}: {text.removeprefix(prefix)}"
    return f"{label}: {text}"


def seconds(ms: int) -> str:
    """Format milliseconds, rounded down: ``12.3 s``, ``5:07``, ``1:02:03``."""
    if ms < 60_000:  # noqa: PLR2004  a minute is a minute
        return f"{ms // 100 / 10} s"
    minutes, rest = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count_noun(number: int, noun: str) -> str:
    """Format a number with its noun: ``1 final``, ``2 finals``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def money(cost: Cost) -> str:
    """Format an amount with two decimals, or four if it is less than one."""
    return f"{cost.amount:.2f} {cost.currency}" if cost.amount >= 1 else f"{cost.amount:.4f} {cost.currency}"


def control_text(change: ControlChanged) -> str:
    """Format the state of push-to-talk and mute."""
    text = {None: "" if change.muted else "unmuted", True: "talking", False: "not talking"}[change.talking]
    return ", ".join(part for part in (text, "MUTED" if change.muted else "") if part)


def _error(event: Event, level: Level) -> str | None:
    # Of audio without a final the line of the summary says more; only with -q there is no such line.
    if not isinstance(event, Errored) or (event.code == "incomplete" and level != "errors"):
        return None
    return f"rt: {event.message}: {event.hint}" if event.hint else f"rt: {event.message}"


def _warning(event: Event) -> str | None:
    match event:
        case Warned(message=message) if event.minor is not True:
            return f"warning: {message}"
        case Failed(start_ms=start, end_ms=end, message=message):
            return f"warning: {_range(start, end)} was not transcribed: the endpoint says: {message}"
        case Dropped(start_ms=start, end_ms=end, reason=reason) if reason != "failed":  # a Failed event came before
            why = _LOSSES.get(reason, reason.replace("_", " "))
            return f"warning: {seconds(end - start)} of sound lost at {seconds(start)}: {why}"
        case SessionChanged(state="lost", captured_ms=int(captured)):
            return f"warning: {event.reason or 'the connection was lost'} at {seconds(captured)}"
        case Summary(complete=False) if event.exit and event.ledger.captured:
            return _incomplete(event)
        case _:
            return None


def _info(event: Event) -> str | None:
    match event:
        case Noted(message=message):
            return message
        case EndpointChosen(where=where, model=model, reason=reason, remark=remark):
            return f"endpoint: {where}, {model}{f', {remark}' if remark else ''} ({reason})"
        case SourceOpened():
            return _source(event)
        case SessionChanged():
            return _session(event)
        case Summary():
            return _summary(event)
        case ControlChanged():
            return control_text(event)
        case Total(sources=sources, finals=finals, captured_ms=captured, wall_ms=wall):
            parts = [f"{count} {kind}" for count, kind in _unsuccessful(event) if count]
            details = f" ({', '.join(parts)})" if parts else ""
            amounts = f"{seconds(captured)} heard, {count_noun(finals, 'turn')}, {seconds(wall)}"
            return f"total: {count_noun(sources, 'source')}{details}, {amounts}"
        case _:
            return None


def _range(start_ms: int, end_ms: int) -> str:
    """Format a range of the timeline: ``0.0-7.3 s``, ``59.0 s-1:07``."""
    start, end = seconds(start_ms), seconds(end_ms)
    return f"{start.removesuffix(' s') if end.endswith(' s') else start}-{end}"


def _unsuccessful(total: Total) -> list[tuple[int, str]]:
    return [(total.failed_sources, "failed"), (total.skipped or 0, "skipped")]


def _source(source: SourceOpened) -> str:
    channels = {1: "mono", 2: "stereo"}.get(source.channels, count_noun(source.channels, "channel"))
    length = "" if source.duration_ms is None else f", {seconds(source.duration_ms)}"
    return f"source: {source.name} ({source.kind}, {source.rate_hz} Hz, {channels}{length})"


def _session(session: SessionChanged) -> str | None:
    state, reason = session.state, session.reason or ""
    match state:
        case "lost":
            limit = "" if session.give_up_ms is UNSET else f"; trying for {seconds(_whole(session.give_up_ms))}"
            return f"connecting: {reason or session.endpoint}{limit}"
        case "resumed":
            outage = "" if session.outage_ms is UNSET else f" after {seconds(session.outage_ms)}"
            again = f", {seconds(session.resent_ms)} of sound sent again" if session.resent_ms else ""
            return f"reconnected{outage}{again}"
        case "closed" if not reason:
            return None  # the summary follows
        case "ready" if not reason:
            parts = (session.dialect, session.model, f"{session.rate_hz} Hz")
            return f"ready: {', '.join(part for part in parts if part)}"
    return f"{state_text(state)}: {reason}" if reason else state_text(state)


def _whole(ms: int) -> int:
    """Round to seconds: a limit needs no tenths."""
    return round(ms, -3)


def _incomplete(summary: Summary) -> str:
    ledger = summary.ledger
    captured = f"{seconds(summary.captured_ms)}"
    if missing := ledger.captured - ledger.settled:
        return f"incomplete: {summary.source}: {_length(missing, summary)} of {captured} not transcribed"
    if summary.unwritten:
        return f"incomplete: {summary.source}: {summary.unwritten} of {count_noun(summary.finals, 'turn')} unwritten"
    return f"incomplete: {summary.source}: ended after {captured}, all of which is transcribed"


def _summary(summary: Summary) -> str | None:
    if summary.skipped:
        return f"skipped: {summary.source}: an earlier run has finished it"
    if summary.exit and not summary.complete:
        return None  # nothing was begun: the error says why, and there is no account to give
    heard = [f"{seconds(summary.captured_ms)} heard", count_noun(summary.finals, "turn")]
    replies = summary.replies or 0
    parts = [
        *(heard if summary.captured_ms or not replies else []),
        *([f"{replies} repl{'y' if replies == 1 else 'ies'}"] if replies else []),
        seconds(summary.wall_ms),
        *([f"{summary.unwritten} unwritten"] if summary.unwritten else []),
    ]
    if summary.gated_ms:
        parts.append(f"{seconds(summary.gated_ms)} not sent")
    if summary.cost:
        parts.append(money(summary.cost))
    if summary.reconnects:
        parts.append(count_noun(summary.reconnects, "reconnect"))
    if summary.ledger.dropped:
        parts.append(f"{seconds(summary.dropped_ms)} lost")
    # Incomplete with exit code 0: the reader closed stdout.
    return f"{'done' if summary.complete else 'ended'}: {summary.source}: {', '.join(parts)}"


def _length(samples: int, summary: Summary) -> str:
    return seconds(to_ms(samples, summary.rate_hz) if summary.rate_hz else 0)
