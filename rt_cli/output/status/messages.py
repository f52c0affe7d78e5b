"""Messages for stderr: one line for each event that a user should know. Pure.

Only an error starts with ``rt:``, so that a search for ``rt:`` finds the cause of a failure and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from rt_cli.audio.format import to_ms
from rt_cli.events import (
    ControlChanged,
    Cost,
    Dropped,
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


def note(event: Event, level: Level = "all", label: Label | None = None) -> str | None:
    """Format the message for an event: printable, without a line end; None if the event has no message.

    Args:
        event: The event.
        level: Level of messages.
        label: Source of the event, if several run at the same time.
    """
    if isinstance(event, Summary) and label is not None:
        event = replace(event, source=str(label))
    text = _error(event)
    if text is None and level != "errors":
        text = _warning(event)
    if text is None and level == "all":
        text = _info(event)
    return None if text is None else without_secrets(printable(text if label is None else _add_label(text, label)))


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


def _error(event: Event) -> str | None:
    if not isinstance(event, Errored):
        return None
    return f"rt: {event.message}: {event.hint}" if event.hint else f"rt: {event.message}"


def _warning(event: Event) -> str | None:
    match event:
        case Warned(message=message):
            return f"warning: {message}"
        case Failed(turn=turn, start_ms=start, message=message):
            return f"warning: turn {turn} at {seconds(start)} was not transcribed: {message}"
        case Dropped(start_ms=start, end_ms=end, reason=reason) if reason != "failed":  # a Failed event came before
            return f"warning: {seconds(end - start)} of sound lost at {seconds(start)}: {reason}"
        case _:
            return None


def _info(event: Event) -> str | None:
    match event:
        case Noted(message=message):
            return message
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
            amounts = f"{seconds(captured)} captured, {count_noun(finals, 'final')} in {seconds(wall)}"
            return f"total: {count_noun(sources, 'source')}{details}, {amounts}"
        case _:
            return None


def _unsuccessful(total: Total) -> list[tuple[int, str]]:
    return [(total.failed_sources, "failed"), (total.skipped or 0, "skipped")]


def _source(source: SourceOpened) -> str:
    channels = {1: "mono", 2: "stereo"}.get(source.channels, count_noun(source.channels, "channel"))
    length = "" if source.duration_ms is None else f", {seconds(source.duration_ms)}"
    return f"source: {source.name} ({source.kind}, {source.rate_hz} Hz, {channels}{length})"


def _session(session: SessionChanged) -> str:
    text = f"{session.state.replace('_', ' ')}: {session.endpoint}"
    if session.state == "ready":
        text += f" ({', '.join(part for part in (session.dialect, session.model) if part)}, {session.rate_hz} Hz)"
    if session.attempt > 1:
        text += f", attempt {session.attempt}"
    return f"{text}: {session.reason}" if session.reason else text


def _summary(summary: Summary) -> str:
    if summary.skipped:
        return f"skipped: {summary.source}: an earlier run has finished it"
    ledger = summary.ledger
    parts = [f"{seconds(summary.captured_ms)} captured"]
    if ledger.dropped:
        parts.append(f"{seconds(summary.dropped_ms)} dropped")
    if rest := ledger.acknowledged + ledger.in_flight + ledger.waiting:
        parts.append(f"{_length(rest, summary)} unsettled")
    parts.append(f"{count_noun(summary.finals, 'final')} in {seconds(summary.wall_ms)}")
    if summary.gated_ms:
        parts.append(f"{seconds(summary.gated_ms)} not sent")
    if summary.cost:
        parts.append(money(summary.cost))
    if summary.reconnects:
        parts.append(count_noun(summary.reconnects, "reconnect"))
    # Incomplete with exit code 0: the reader closed stdout.
    incomplete = f"incomplete (exit {summary.exit})" if summary.exit else "ended"
    outcome = "done" if summary.complete else incomplete
    return f"{outcome}: {summary.source}: {', '.join(parts)}"


def _length(samples: int, summary: Summary) -> str:
    return seconds(to_ms(samples, summary.rate_hz) if summary.rate_hz else 0)
