"""The verdict on a run whose troubles all pass: it delivers everything, in time, and no faster than was asked. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from rt_cli.settings import auto
from rt_cli.streaming.delivery.sender import PING_IDLE_S
from tests.exact import RATE
from tests.simulation.scenario import Dials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.run import Course
    from tests.simulation.scenario import Scenario

_CUTS = frozenset({"reset", "fin", "refuse", "nameless", "unreachable"})
"""Faults that end connections, and hold up no byte of those that live."""
_OUTAGES = _CUTS | {"black_hole", "stop_reading", "silent_loss"}
_LONGEST_OUTAGE_S = 5.0
_MOST_CUTS = 2
"""Three connections without progress end a run."""
_HELD_UP_S = 1.0
_FAR_S = 0.2
_NARROW = 100_000.0
"""Bytes per second that are little more than sound needs."""
_SLACK_S = 1.0
_BESIDE_MS = 100
"""Milliseconds of silence that a detector may not see."""


def calm(course: Course) -> Iterator[str]:
    """Yield what is wrong with a run, nothing if it has troubles that may cost something."""
    scenario, last = course.scenario, course.processes[-1]
    if not _passes(scenario) or last.signals:
        return
    if last.exit != 0:
        yield f"all troubles pass, and the exit code is {last.exit}"
    states = [event.state for event in last.watch.events if type(event).__name__ == "SessionChanged"]
    outages = [fault for fault in scenario.faults if fault.kind in _OUTAGES]
    if not outages and _hands_over(scenario):
        if "lost" in states:
            yield "no connection was broken, and one is lost"
        if "stalled" in states and scenario.line.bandwidth > _NARROW:
            yield "the endpoint reads, and is said to be stalled"
    if not outages and scenario.dials.lifetime_s is None:
        yield from _duration(course)
    if all(fault.kind in _CUTS for fault in scenario.faults):
        yield from _pace(course)
    if scenario.turn_detection == "client":
        yield from _beginnings(course)


def _passes(scenario: Scenario) -> bool:
    """Whether nothing goes wrong that is not over soon, with an endpoint that does what it should."""
    dials, options = scenario.dials, dict(zip(scenario.options, scenario.options[1:], strict=False))
    harmless = replace(dials, ids="right", offsets="session", prefix_ms=0, deltas="one", commits="answered")
    harmless = replace(harmless, in_order=True, serial=False, doubled=0.0, invents=False, clears=True, previous=True)
    harmless = replace(harmless, final_s=0.1, spread_s=0.0, created_s=0.0)
    harmless = replace(harmless, lifetime_s=None, announced=True, ending="close", one_session=None)
    late = dials.final_s + dials.spread_s > 2.5 or scenario.line.latency + scenario.line.jitter > _FAR_S
    if harmless != Dials() or late or dials.one_session == 1008 or scenario.memory_s < scenario.length_s:
        return False
    lifetimes = [float(options.get("--max-session", "inf")), dials.lifetime_s or float("inf")]
    longest = _longest_turn(scenario)
    if min(lifetimes) < float("inf") and (
        scenario.turn_detection == "none" or 2 * longest > min(lifetimes) or scenario.line.handshake > _HELD_UP_S
    ):
        return False
    outages = [fault for fault in scenario.faults if fault.kind in _OUTAGES]
    # Only a ping tells the silence of the network from that of the endpoint.
    silent = any(fault.kind not in _CUTS for fault in outages)
    if silent and float(options["--drain-timeout"]) <= PING_IDLE_S + 1:
        return False
    held_up = [fault for fault in scenario.faults if fault.kind == "stall" and fault.lasts <= _HELD_UP_S]
    began = 2 * scenario.line.handshake + 2.0
    return (
        len(outages) + len(held_up) == len(scenario.faults)
        and len(outages) <= _MOST_CUTS
        and sum(fault.lasts for fault in outages) <= _LONGEST_OUTAGE_S
        and all(fault.at > began for fault in outages)
    )


def _longest_turn(scenario: Scenario) -> float:
    """Return the seconds of the longest turn, with the pause that ends it."""
    longest = length = 0
    for speech, silence in scenario.turns:
        length += speech + silence
        longest = max(longest, length)
        if silence > scenario.silence_ms + _BESIDE_MS:
            length = 0
    return longest / 1000


def _hands_over(scenario: Scenario) -> bool:
    """Whether sessions last, or are known to end and may overlap."""
    dials = scenario.dials
    if dials.lifetime_s is None:
        return True
    slow = dials.created_s + dials.final_s + dials.spread_s + scenario.line.handshake
    return dials.announced and dials.one_session is None and dials.lifetime_s > 6 + 6 * slow


def _duration(course: Course) -> Iterator[str]:
    """A run takes as long as its sound, and some round trips."""
    scenario, process = course.scenario, course.processes[-1]
    options = dict(zip(scenario.options, scenario.options[1:], strict=False))
    speed = 1.0 if scenario.live else float(options.get("--speed", "1").replace("max", "inf"))
    line, dials = scenario.line, scenario.dials
    # A full buffer waits for a round trip.
    rate = min(line.bandwidth, line.buffer / max(2 * (line.latency + line.jitter), 1e-3))
    wire = 3 * RATE * scenario.length_s / rate  # base64 and JSON
    waits = 10 * (line.latency + line.jitter) + line.handshake + dials.created_s + dials.final_s + dials.spread_s
    reader = 2000 * (len(scenario.turns) + 2) / scenario.reader_rate + 2.0
    limit = max(scenario.length_s / speed, wire) + waits + reader + sum(fault.lasts for fault in scenario.faults)
    if process.ended - process.began > limit + 2 * _SLACK_S:
        yield f"the run took {process.ended - process.began:.1f} s, for {limit:.1f} s of work"


def _beginnings(course: Course) -> Iterator[str]:
    """Each turn that rt makes has a beginning."""
    events = course.processes[-1].watch.events
    began = {event.turn for event in events if type(event).__name__ == "SpeechBegan"}
    for event in events:
        if type(event).__name__ == "Final" and event.text and event.turn not in began:
            yield f"turn {event.turn} has no beginning"


def _pace(course: Course) -> Iterator[str]:
    """No session gets sound faster than was asked for, but for a chunk."""
    scenario = course.scenario
    options = dict(zip(scenario.options, scenario.options[1:], strict=False))
    given = options.get("--catch-up")
    catch_up = auto.catch_up(None if given is None else float(given.replace("max", "inf")), embedded=False)
    fastest = max(catch_up, 1.0 if scenario.live else float(options.get("--speed", "1").replace("max", "inf")))
    for session in course.endpoint.sessions:
        if session.arrivals and fastest < float("inf"):
            (began, _), (ended, _) = session.arrivals[0], session.arrivals[-1]
            taken = sum(samples for _, samples in session.arrivals)
            if taken > RATE * (fastest * (ended - began + 2 * scenario.line.jitter) + 1.0 + _SLACK_S):
                yield f"{taken / RATE:.1f} s of sound came in {ended - began:.1f} s, asked for at {fastest:g} times"
