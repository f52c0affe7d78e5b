"""The grammar of ``rt serve --fault``. Pure.

::

    FAULT[=VALUE][@WHEN][/HOW-LONG][xTIMES][#CONNECTION][%EVERY][~CHANCE]

    drop@3s             every connection is reset after 3 s
    status=429/3sx2     the first two handshakes are refused, with Retry-After: 3
    stall@turn2/4s#1    the first connection stands still for 4 s after its second turn
    omit=committed%3    every third ``input_audio_buffer.committed`` is left out
    seed=7              other random numbers for ranges and chances

An occasion of a fault is its moment in a connection, or each event that the fault can change. ``#CONNECTION``,
``%EVERY``, ``~CHANCE`` and ``xTIMES`` select, in this order, the occasions at which the fault happens.
"""

from __future__ import annotations

import http
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from rt_cli.errors import UsageError, did_you_mean
from rt_cli.server.faults.event_names import CLIENT_EVENTS, SERVER_EVENTS, resolve
from rt_cli.server.faults.malformed import GARBAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000}
_LONGEST_MS = 86_400_000
_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)")
_CODE = re.compile(r"[A-Za-z_]{1,64}")
_REASON = re.compile(r"[A-Za-z_ .,'-]{1,100}")
_RATE = re.compile(r"(\d{1,9})kB")
_CHANCE = re.compile(r"0?\.\d{1,6}")
# "x2" could also be the end of a word, so it counts as a suffix only before another suffix or the end.
_SUFFIX = re.compile(r"([@/#~%]|x(?=\d+(?:[@/#~%x]|$)))")
_CLOSE_CODES = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
"""Codes that are allowed in a close frame."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time, or a range from which a time is drawn; milliseconds."""

    low_ms: int
    high_ms: int

    def __str__(self) -> str:
        low = _format_ms(self.low_ms)
        return low if self.low_ms == self.high_ms else f"{low}..{_format_ms(self.high_ms)}"


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment at which a fault happens or begins."""

    of: Literal["time", "audio", "turn"]
    """Time since the connection opened, amount of received audio, or after ``committed`` of a turn has been sent."""
    span: Span | None = None
    turn: int = 0

    def __str__(self) -> str:
        return f"turn{self.turn}" if self.of == "turn" else f"{'audio' if self.of == 'audio' else ''}{self.span}"


@dataclass(frozen=True, slots=True)
class CloseFrame:
    """The value of ``close``."""

    code: int
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.code}:{self.reason}" if self.reason else str(self.code)


@dataclass(frozen=True, slots=True)
class Delay:
    """The value of ``delay``. Without an event type: delay all events and keep their order."""

    event: str | None
    span: Span

    def __str__(self) -> str:
        return f"{self.event}:{self.span}" if self.event else str(self.span)


@dataclass(frozen=True, slots=True)
class Rejection:
    """The value of ``reject``: a client event type and the error code of the answer."""

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


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``str(fault)`` is a spec that :func:`parse` reads back."""

    name: str
    value: Value = None
    when: Moment | None = None
    """None: at once, that is at the handshake, or before the first event."""
    lasts_ms: int | None = None
    """None: until the end of the connection. For ``status``: the value of Retry-After."""
    times: int | None = None
    """Limit over all connections; None: no limit."""
    connection: int | None = None
    """Number of the only affected connection, from 1, including refused handshakes; None: all."""
    every: int = 1
    chance: float = 1.0

    def __str__(self) -> str:
        parts = [self.name]
        if self.value != KINDS[self.name].default:
            parts.append(f"={self.value}")
        if self.when is not None:
            parts.append(f"@{self.when}")
        if self.lasts_ms is not None:
            parts.append(f"/{_format_ms(self.lasts_ms)}")
        if self.times is not None:
            parts.append(f"x{self.times}")
        if self.connection is not None:
            parts.append(f"#{self.connection}")
        if self.every > 1:
            parts.append(f"%{self.every}")
        if self.chance < 1:
            parts.append(f"~{self.chance:.6f}".rstrip("0"))
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """All faults of a server; false if there is none."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0

    def __bool__(self) -> bool:
        return bool(self.faults)

    def has(self, *names: str) -> bool:
        """True if any fault has one of these names."""
        return any(fault.name in names for fault in self.faults)


class _GrammarError(Exception):
    """A part of a spec is invalid; the message says what is valid."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """The parts that the faults of one name can have."""

    read: Callable[[str], Value] | None = None
    example: str = ""
    """Example of a value."""
    default: Value = None
    """Default value; None: a value is required, or the fault takes no value."""
    when: bool = True
    lasts: bool = False


def parse(specs: Iterable[str]) -> FaultPlan:
    """Parse the values of ``--fault``.

    Raises:
        UsageError: A spec is invalid; the message quotes the invalid part and says what is valid.
    """
    faults: list[Fault] = []
    seed: int | None = None
    for spec in specs:
        try:
            if spec.strip().startswith("seed="):
                if seed is not None:
                    raise _GrammarError("a second seed")  # noqa: TRY301 - the handler below adds the spec
                seed = _count(spec.strip()[5:], "seed=", "a whole number, as in seed=7", smallest=0)
            else:
                faults.append(_fault(spec.strip()))
        except _GrammarError as error:
            raise UsageError(f"--fault {spec!r}: {error}", "see rt serve --fault help", code="fault") from None
    return FaultPlan(tuple(faults), seed or 0)


def _fault(spec: str) -> Fault:
    head, *suffixes = _SUFFIX.split(spec)
    name, equals, text = head.partition("=")
    kind = KINDS.get(name)
    if kind is None:
        raise _GrammarError(
            f"no fault is called {name!r}; " + (did_you_mean(name, KINDS) or f"there are {', '.join(KINDS)}")
        )
    marks = suffixes[::2]
    if duplicate := next((mark for mark in marks if marks.count(mark) > 1), None):
        raise _GrammarError(f"{duplicate!r} is there twice")
    by_mark = dict(zip(marks, suffixes[1::2], strict=True))
    if "@" in by_mark and not kind.when:
        raise _GrammarError(f"{'@' + by_mark['@']!r}: {name} has no moment of its own")
    if "/" in by_mark and not kind.lasts:
        raise _GrammarError(f"{'/' + by_mark['/']!r}: {name} has no length")
    return Fault(
        name,
        _value(name, kind, text if equals else None),
        when=_moment(by_mark["@"]) if "@" in by_mark else None,
        lasts_ms=_exact(by_mark["/"], "/") if "/" in by_mark else None,
        times=_count(by_mark["x"], "x", "how many times, as in x2") if "x" in by_mark else None,
        connection=_count(by_mark["#"], "#", "the number of a connection, as in #2") if "#" in by_mark else None,
        every=_count(by_mark["%"], "%", "every how many, as in %3") if "%" in by_mark else 1,
        chance=_chance(by_mark["~"]) if "~" in by_mark else 1.0,
    )


def _value(name: str, kind: FaultKind, text: str | None) -> Value:
    if text is None:
        if kind.read is not None and kind.default is None:
            raise _GrammarError(f"{name} needs a value, as in {name}={kind.example}")
        return kind.default
    if kind.read is None:
        raise _GrammarError(f"{'=' + text!r}: {name} takes no value")
    try:
        return kind.read(text)
    except _GrammarError as error:
        raise _GrammarError(f"{'=' + text!r}: {error}; an example is {name}={kind.example}") from None


def _moment(text: str) -> Moment:
    try:
        if text.startswith("turn"):
            return Moment("turn", turn=_count(text[4:], "", "a turn"))
        if text.startswith("audio"):
            return Moment("audio", _span(text[5:]))
        return Moment("time", _span(text))
    except _GrammarError:
        raise _GrammarError(f"{'@' + text!r} is no moment; it is @3s, @300ms, @3s..8s, @audio5s or @turn2") from None


def _span(text: str) -> Span:
    low, dots, high = text.partition("..")
    span = Span(_ms(low), _ms(high if dots else low))
    if span.low_ms > span.high_ms:
        raise _GrammarError("the range ends before it begins")
    return span


def _exact(text: str, mark: str) -> int:
    try:
        return _ms(text)
    except _GrammarError as error:
        raise _GrammarError(f"{mark + text!r}: {error}") from None


def _ms(text: str) -> int:
    match = _TIME.fullmatch(text)
    ms = round(float(match[1]) * _UNITS_MS[match[2]]) if match else 0
    if not 1 <= ms <= _LONGEST_MS:
        raise _GrammarError("a time has a unit, 300ms, 3s or 2m, and is at most a day")
    return ms


def _format_ms(ms: int) -> str:
    return f"{ms}ms" if ms % 1000 else f"{ms // 1000}s"


def _count(text: str, mark: str, expected: str, smallest: int = 1) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= smallest):  # noqa: PLR2004 - digits
        raise _GrammarError(f"{mark + text!r} is not {expected}")
    return int(text)


def _chance(text: str) -> float:
    if not _CHANCE.fullmatch(text) or not float(text):
        raise _GrammarError(f"{'~' + text!r} is not a chance between 0 and 1, as in ~0.2")
    return float(text)


def _status(text: str) -> int:
    try:
        status = http.HTTPStatus(_count(text, "", "a status"))
    except (ValueError, _GrammarError):
        raise _GrammarError("no HTTP status") from None
    if status < http.HTTPStatus.OK or status in {http.HTTPStatus.NO_CONTENT, http.HTTPStatus.NOT_MODIFIED}:
        raise _GrammarError("no HTTP status with which a handshake can end")
    return int(status)


def _close_frame(text: str) -> CloseFrame:
    code, colon, reason = text.partition(":")
    if not code.isdigit() or int(code) not in _CLOSE_CODES:
        raise _GrammarError("no close code that can be sent (1000-1003, 1007-1014, 3000-4999)")
    if colon and not _REASON.fullmatch(reason):
        raise _GrammarError("a reason is up to 100 letters, spaces and . , ' _ -")
    return CloseFrame(int(code), reason)


def _code(text: str) -> str:
    if not _CODE.fullmatch(text):
        raise _GrammarError("a code is letters and underscores")
    return text


def _event(text: str) -> str:
    return _event_name(text, SERVER_EVENTS)


def _event_name(text: str, known: tuple[str, ...]) -> str:
    matches = resolve(text, known)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise _GrammarError(f"{text} may be any of {', '.join(matches)}")
    short = {name.rpartition(".")[2] for name in known}
    raise _GrammarError("no such event" + (f", {hint}" if (hint := did_you_mean(text, {*known, *short})) else ""))


def _delay(text: str) -> Delay:
    event, colon, span = text.rpartition(":")
    return Delay(_event(event) if colon else None, _span(span))


def _rejection(text: str) -> Rejection:
    event, colon, code = text.partition(":")
    name = _event_name(event, CLIENT_EVENTS)
    return Rejection(name, _code(code)) if colon else Rejection(name)


def _rate(text: str) -> Rate:
    match = _RATE.fullmatch(text)
    if not match or not int(match[1]):
        raise _GrammarError("no rate in thousands of bytes a second")
    return Rate(int(match[1]))


def _one_of(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise _GrammarError(f"it is one of {', '.join(names)}")
        return text

    return read


KINDS: dict[str, FaultKind] = {
    "status": FaultKind(_status, "503", when=False, lasts=True),
    "handshake": FaultKind(_span, "2s", when=False),
    "drop": FaultKind(_one_of("rst", "fin"), "fin", default="rst"),
    "close": FaultKind(_close_frame, "1001:going away"),
    "expire": FaultKind(_span, "20s", when=False),
    "quota": FaultKind(),
    "error": FaultKind(_code, "server_error"),
    "garbage": FaultKind(_one_of(*GARBAGE), "utf8", default="json"),
    "stall": FaultKind(lasts=True),
    "mute": FaultKind(lasts=True),
    "slow": FaultKind(_rate, "32kB", lasts=True),
    "delay": FaultKind(_delay, "100ms..500ms", lasts=True),
    "omit": FaultKind(_event, "session.updated", lasts=True),
    "dup": FaultKind(_event, "completed", lasts=True),
    "reorder": FaultKind(_event, "completed", lasts=True),
    "corrupt": FaultKind(_event, "committed", lasts=True),
    "failed": FaultKind(lasts=True),
    "reject": FaultKind(_rejection, "session.update", lasts=True),
}
"""All faults by name."""
