"""The values in the grammar of ``--fault``: times, moments, events, and how each is read. Pure.

Every ``read_`` function raises :class:`GrammarError`.
"""

from __future__ import annotations

import http
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from rt_cli.errors import did_you_mean
from rt_cli.server.faults.event_names import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    TRANSLATION_CLIENT_EVENTS,
    TRANSLATION_SERVER_EVENTS,
    resolve,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000}
_LONGEST_MS = 86_400_000
_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)")
_CODE = re.compile(r"[A-Za-z_]{1,64}")
_REASON = re.compile(r"[A-Za-z_ .,'-]{1,100}")
_RATE = re.compile(r"(\d{1,9})kB")
_CHANCE = re.compile(r"0?\.\d{1,6}")
_CLOSE_CODES = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
"""Codes that are allowed in a close frame."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time, or a range from which a time is drawn; milliseconds."""

    low_ms: int
    high_ms: int

    def __str__(self) -> str:
        low = format_ms(self.low_ms)
        return low if self.low_ms == self.high_ms else f"{low}..{format_ms(self.high_ms)}"


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment at which a fault happens or begins."""

    of: Literal["time", "audio", "turn", "reply"]
    """Time since the connection opened, amount of received audio, after ``committed`` of a turn, or in a reply."""
    span: Span | None = None
    """For ``reply``: the amount of its sound; None: at its ``response.created``."""
    number: int = 0
    """Number of the turn or the reply, from 1."""

    def __str__(self) -> str:
        if self.of == "turn":
            return f"turn{self.number}"
        if self.of == "reply":
            return f"reply{self.number}" + (f":{self.span}" if self.span else "")
        return f"{'audio' if self.of == 'audio' else ''}{self.span}"


@dataclass(frozen=True, slots=True)
class CloseFrame:
    """The value of ``close``."""

    code: int
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.code}:{self.reason}" if self.reason else str(self.code)


@dataclass(frozen=True, slots=True)
class Delay:
    """The value of ``delay``. With a type or group: keep the order within it only; without: delay all events."""

    event: str | None
    span: Span

    def __str__(self) -> str:
        return f"{self.event}:{self.span}" if self.event else str(self.span)


@dataclass(frozen=True, slots=True)
class Rejection:
    """The value of ``reject``: a type or group of client events, and the error code of the answer."""

    event: str
    code: str = "invalid_value"

    def __str__(self) -> str:
        return f"{self.event}:{self.code}"


@dataclass(frozen=True, slots=True)
class Rate:
    """The value of ``slow``: kB (1000 bytes) per second."""

    kilobytes: int

    def __str__(self) -> str:
        return f"{self.kilobytes}kB"


Value: TypeAlias = int | str | Span | CloseFrame | Delay | Rejection | Rate | None


class GrammarError(Exception):
    """A part of a spec is invalid; the message says what is valid."""


def read_moment(text: str) -> Moment:
    """Read the part after ``@``."""
    try:
        if text.startswith("turn"):
            return Moment("turn", number=read_count(text[4:], "", "a turn"))
        if text.startswith("reply"):
            number, colon, span = text[5:].partition(":")
            return Moment("reply", read_span(span) if colon else None, read_count(number, "", "a reply"))
        if text.startswith("audio"):
            return Moment("audio", read_span(text[5:]))
        return Moment("time", read_span(text))
    except GrammarError:
        raise GrammarError(
            f"{'@' + text!r} is no moment; it is @3s, @300ms, @3s..8s, @audio5s, @turn2, @reply2 or @reply2:400ms"
        ) from None


def read_span(text: str) -> Span:
    """Read a time or a range."""
    low, dots, high = text.partition("..")
    span = Span(_ms(low), _ms(high if dots else low))
    if span.low_ms > span.high_ms:
        raise GrammarError("the range ends before it begins")
    return span


def read_ms(text: str, mark: str) -> int:
    """Read a time that is no range, in milliseconds; the error repeats the mark before it."""
    try:
        return _ms(text)
    except GrammarError as error:
        raise GrammarError(f"{mark + text!r}: {error}") from None


def _ms(text: str) -> int:
    match = _TIME.fullmatch(text)
    ms = round(float(match[1]) * _UNITS_MS[match[2]]) if match else 0
    if not 1 <= ms <= _LONGEST_MS:
        raise GrammarError("a time has a unit, 300ms, 3s or 2m, and is at most a day")
    return ms


def format_ms(ms: int) -> str:
    """Write a time as it is read."""
    return f"{ms}ms" if ms % 1000 else f"{ms // 1000}s"


def read_count(text: str, mark: str, expected: str, smallest: int = 1) -> int:
    """Read a whole number of at most nine digits; the error says what is expected."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= smallest):  # noqa: PLR2004 - digits
        raise GrammarError(f"{mark + text!r} is not {expected}")
    return int(text)


def read_chance(text: str) -> float:
    """Read the part after ``~``."""
    if not _CHANCE.fullmatch(text) or not float(text):
        raise GrammarError(f"{'~' + text!r} is not a chance between 0 and 1, as in ~0.2")
    return float(text)


def read_status(text: str) -> int:
    """Read an HTTP status that can end a handshake."""
    try:
        status = http.HTTPStatus(read_count(text, "", "a status"))
    except (ValueError, GrammarError):
        raise GrammarError("no HTTP status") from None
    if status < http.HTTPStatus.OK or status in {http.HTTPStatus.NO_CONTENT, http.HTTPStatus.NOT_MODIFIED}:
        raise GrammarError("no HTTP status with which a handshake can end")
    return int(status)


def read_close_frame(text: str) -> CloseFrame:
    """Read a close code, with a reason after a colon."""
    code, colon, reason = text.partition(":")
    if not code.isdigit() or int(code) not in _CLOSE_CODES:
        raise GrammarError("no close code that can be sent (1000-1003, 1007-1014, 3000-4999)")
    if colon and not _REASON.fullmatch(reason):
        raise GrammarError("a reason is up to 100 letters, spaces and . , ' _ -")
    return CloseFrame(int(code), reason)


def read_code(text: str) -> str:
    """Read an error code."""
    if not _CODE.fullmatch(text):
        raise GrammarError("a code is letters and underscores")
    return text


def read_event(text: str) -> str:
    """Read the type of a server event, or a group of types."""
    return _event_name(text, SERVER_EVENTS, TRANSLATION_SERVER_EVENTS)


def _event_name(text: str, known: tuple[str, ...], more: tuple[str, ...]) -> str:
    matches = resolve(text, known) or resolve(text, more)
    known = (*known, *more)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise GrammarError(f"{text} may be any of {', '.join(matches)}")
    short = {name.rpartition(".")[2] for name in known}
    raise GrammarError("no such event" + (f", {hint}" if (hint := did_you_mean(text, {*known, *short})) else ""))


def read_delay(text: str) -> Delay:
    """Read a time, with the type or group of events before it."""
    event, colon, span = text.rpartition(":")
    return Delay(read_event(event) if colon else None, read_span(span))


def read_rejection(text: str) -> Rejection:
    """Read the type or group of client events, with an error code after a colon."""
    event, colon, code = text.partition(":")
    name = _event_name(event, CLIENT_EVENTS, TRANSLATION_CLIENT_EVENTS)
    return Rejection(name, read_code(code)) if colon else Rejection(name)


def read_rate(text: str) -> Rate:
    """Read a rate in kB."""
    match = _RATE.fullmatch(text)
    if not match or not int(match[1]):
        raise GrammarError("no rate in thousands of bytes a second")
    return Rate(int(match[1]))


def one_of(*names: str) -> Callable[[str], str]:
    """Return a reader of one of these names."""

    def read(text: str) -> str:
        if text not in names:
            raise GrammarError(f"it is one of {', '.join(names)}")
        return text

    return read
