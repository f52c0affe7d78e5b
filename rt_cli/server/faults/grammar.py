"""The grammar of ``rt serve --fault``. Pure.

::

    FAULT[=VALUE][@WHEN][/HOW-LONG][xTIMES][#CONNECTION][%EVERY][~CHANCE]

    drop@3s             every connection is reset after 3 s
    status=429/3sx2     the first two handshakes are refused, with Retry-After: 3
    stall@turn2/4s#1    the first connection stands still for 4 s after its second turn
    omit=committed%3    every third ``input_audio_buffer.committed`` is left out
    drop@reply2:400ms   the connection is reset after 400 ms of the second reply's sound
    dup=response.*~0.1  one in ten events of replies comes twice
    seed=7              other random numbers for ranges and chances

An occasion of a fault is its moment in a connection, or each event that the fault can change. ``#CONNECTION``,
``%EVERY``, ``~CHANCE`` and ``xTIMES`` select, in this order, the occasions at which the fault happens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError, did_you_mean
from rt_cli.server.faults.malformed import GARBAGE
from rt_cli.server.faults.values import (
    GrammarError,
    Moment,
    Value,
    format_ms,
    one_of,
    read_chance,
    read_close_frame,
    read_code,
    read_count,
    read_delay,
    read_event,
    read_moment,
    read_ms,
    read_rate,
    read_rejection,
    read_span,
    read_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# "x2" could also be the end of a word, so it counts as a suffix only before another suffix or the end.
_SUFFIX = re.compile(r"([@/#~%]|x(?=\d+(?:[@/#~%x]|$)))")


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
            parts.append(f"/{format_ms(self.lasts_ms)}")
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
                    raise GrammarError("a second seed")  # noqa: TRY301 - the handler below adds the spec
                seed = read_count(spec.strip()[5:], "seed=", "a whole number, as in seed=7", smallest=0)
            else:
                faults.append(_fault(spec.strip()))
        except GrammarError as error:
            raise UsageError(f"--fault {spec!r}: {error}", "see rt serve --fault help", code="fault") from None
    return FaultPlan(tuple(faults), seed or 0)


def _fault(spec: str) -> Fault:
    head, *suffixes = _SUFFIX.split(spec)
    name, equals, text = head.partition("=")
    kind = KINDS.get(name)
    if kind is None:
        raise GrammarError(
            f"no fault is called {name!r}; " + (did_you_mean(name, KINDS) or f"there are {', '.join(KINDS)}")
        )
    marks = suffixes[::2]
    if duplicate := next((mark for mark in marks if marks.count(mark) > 1), None):
        raise GrammarError(f"{duplicate!r} is there twice")
    by_mark = dict(zip(marks, suffixes[1::2], strict=True))
    if "@" in by_mark and not kind.when:
        raise GrammarError(f"{'@' + by_mark['@']!r}: {name} has no moment of its own")
    if "/" in by_mark and not kind.lasts:
        raise GrammarError(f"{'/' + by_mark['/']!r}: {name} has no length")
    return Fault(
        name,
        _value(name, kind, text if equals else None),
        when=read_moment(by_mark["@"]) if "@" in by_mark else None,
        lasts_ms=read_ms(by_mark["/"], "/") if "/" in by_mark else None,
        times=read_count(by_mark["x"], "x", "how many times, as in x2") if "x" in by_mark else None,
        connection=read_count(by_mark["#"], "#", "the number of a connection, as in #2") if "#" in by_mark else None,
        every=read_count(by_mark["%"], "%", "every how many, as in %3") if "%" in by_mark else 1,
        chance=read_chance(by_mark["~"]) if "~" in by_mark else 1.0,
    )


def _value(name: str, kind: FaultKind, text: str | None) -> Value:
    if text is None:
        if kind.read is not None and kind.default is None:
            raise GrammarError(f"{name} needs a value, as in {name}={kind.example}")
        return kind.default
    if kind.read is None:
        raise GrammarError(f"{'=' + text!r}: {name} takes no value")
    try:
        return kind.read(text)
    except GrammarError as error:
        raise GrammarError(f"{'=' + text!r}: {error}; an example is {name}={kind.example}") from None


KINDS: dict[str, FaultKind] = {
    "status": FaultKind(read_status, "503", when=False, lasts=True),
    "handshake": FaultKind(read_span, "2s", when=False),
    "drop": FaultKind(one_of("rst", "fin"), "fin", default="rst"),
    "close": FaultKind(read_close_frame, "1001:going away"),
    "expire": FaultKind(read_span, "20s", when=False),
    "quota": FaultKind(),
    "error": FaultKind(read_code, "server_error"),
    "garbage": FaultKind(one_of(*GARBAGE), "utf8", default="json"),
    "stall": FaultKind(lasts=True),
    "mute": FaultKind(lasts=True),
    "slow": FaultKind(read_rate, "32kB", lasts=True),
    "delay": FaultKind(read_delay, "100ms..500ms", lasts=True),
    "omit": FaultKind(read_event, "session.updated", lasts=True),
    "dup": FaultKind(read_event, "completed", lasts=True),
    "reorder": FaultKind(read_event, "completed", lasts=True),
    "corrupt": FaultKind(read_event, "committed", lasts=True),
    "failed": FaultKind(lasts=True),
    "late": FaultKind(read_span, "2s", lasts=True),
    "cut": FaultKind(read_span, "400ms", lasts=True),
    "reject": FaultKind(read_rejection, "session.update", lasts=True),
}
"""All faults by name."""
