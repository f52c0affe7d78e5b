"""The verdict on a run: what must hold at its end, by what was printed, what was said, and what was spoken. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.exact import read_back
from tests.simulation.calm import calm
from tests.simulation.peer.endpoint import INVENTED
from tests.simulation.sound import FIRST, MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.run import Course, Process

Array = np.ndarray[Any, Any]
_RANGE = re.compile(r"(\d+)-(\d+)")
_STUB = 100 * MS // 2
"""Numbers at an edge of the sound that are too few for a detector to be speech."""
_BESIDE_MS = 40
"""Milliseconds by which a word may lie beside the range of its turn: a frame of a detector."""
_CLOSING_S = 25.0
"""What a run may take beyond its own patience: closing, a last slow reader."""


def verdict(course: Course) -> list[str]:
    """Return what is wrong with a run, empty if nothing is."""
    if course.error is not None:
        return [course.error, *course.world.violations]
    found = list(course.world.violations)
    for process in course.processes:
        found += _process(course, process)
    found += _words(course)
    found += calm(course)
    return list(dict.fromkeys(found))


def _process(course: Course, process: Process) -> Iterator[str]:
    errors = process.stderr.taken.decode("utf-8", "replace")
    if "Traceback" in errors or "please report" in errors:
        yield f"an unexpected error: {errors.strip().splitlines()[-1][:300]}"
    yield from (f"left open: {name}" for name in process.left)
    yield from _patience(course, process)
    if process.exit is None:
        return
    summaries = [event for event in process.watch.events if type(event).__name__ == "Summary"]
    if len(summaries) > 1:
        yield f"{len(summaries)} summaries"
    yield from _exit_code(course, process, summaries[0] if summaries else None)
    yield from _printed(course, process, summaries[0] if summaries else None)


def _exit_code(course: Course, process: Process, summary: Any) -> Iterator[str]:
    code, signals = process.exit, len(process.signals)
    if code not in {0, 2, 3, 4, 5, 6, 7, 130, 143}:
        yield f"exit code {code}"
    if code == 1:
        return
    if code in {130, 143} and not signals:
        yield f"exit code {code} without a signal"
    if code in {2, 3} and not _disk_or_device(course):
        yield f"exit code {code}: {process.stderr.taken[-300:].decode('utf-8', 'replace')}"
    if summary is None:
        if code == 0:
            yield "exit code 0 without a summary"
        return
    ledger = summary.ledger
    if not ledger.balanced:
        yield f"the ledger of the summary does not balance: {ledger}"
    holes = sum(event.end_ms - event.start_ms for event in _events(process, "Dropped"))
    missing = ledger.captured - ledger.settled
    dials = course.scenario.dials
    if code == 0 and missing - _suspended(course) > 0 and not process.stdout.gone:
        yield f"exit code 0, and {missing} samples are not settled"
    if code == 7 and not missing and not _unwritten(summary):
        yield "exit code 7, and nothing is missing"
    if code == 4 and dials.quota_s is None and not _closed_with(course, 1008):
        yield "exit code 4, and nobody refused"
    if abs(holes - ledger.dropped / MS) > 2 + len(_events(process, "Dropped")) and len(course.processes) == 1:
        yield f"{holes} ms of holes were reported, {ledger.dropped / MS:.0f} ms are dropped in the ledger"
    hurried = signals > 2  # the last one may come behind the summary
    if summary.exit != code and not (code == 2 and _disk_or_device(course)) and code != 7 and not hurried:
        yield f"the summary says exit {summary.exit}, the process {code}"


def _unwritten(summary: Any) -> int:
    value = getattr(summary, "unwritten", 0)
    return value if isinstance(value, int) else 0


def _suspended(course: Course) -> int:
    """Return the samples that the machine slept through, over all processes: a resumed one knows of them."""
    return MS * sum(gap.end_ms - gap.start_ms + 1 for gap in _suspensions(course))


def _suspensions(course: Course) -> list[Any]:
    """Return the gaps in which the machine slept, as the processes say."""
    dropped = [event for process in course.processes for event in _events(process, "Dropped")]
    return [gap for gap in dropped if gap.reason == "suspended"]


def _closed_with(course: Course, code: int) -> bool:
    return any(fault.kind == "close" and fault.value == code for fault in course.scenario.faults) or (
        course.scenario.dials.one_session == code
    )


def _disk_or_device(course: Course) -> bool:
    return any(fault.kind in {"disk_full", "disk_slow", "device_lost", "kill"} for fault in course.scenario.faults)


def _events(process: Process, name: str) -> list[Any]:
    return [event for event in process.watch.events if type(event).__name__ == name]


# -- what was printed -------------------------------------------------------------------------------------------------


def _lines(process: Process) -> list[str]:
    """Return the whole lines that stdout took."""
    return process.stdout.taken.decode("utf-8", "replace").split("\n")[:-1]


def _printed(course: Course, process: Process, summary: Any) -> Iterator[str]:
    finals = [event for event in _events(process, "Final") if event.text.strip()]
    lines = _lines(process)
    if course.scenario.text:
        printed = lines
    else:
        try:
            records = [json.loads(line) for line in lines]
        except ValueError as exc:
            yield f"stdout is no NDJSON: {exc}"
            return
        printed = [record["text"] for record in records if record["type"] == "final" and record["text"].strip()]
        complete = summary is not None and not process.stdout.gone and not _hurried(process)
        if complete and (not records or records[-1]["type"] != "summary"):
            yield "the last line is no summary"
    said = [event.text for event in finals]
    if printed != said[: len(printed)]:
        yield f"printed {printed[-3:]}, but heard {said[-3:]}"
    unwritten = finals[len(printed) :]
    if len(process.signals) > 2:
        return  # it had to end at once
    if unwritten and not process.stdout.gone and not _hurried(process):
        yield f"{len(unwritten)} finals were heard and not written"
    errors = process.stderr.taken.decode("utf-8", "replace")
    for event in unwritten:
        if f"turn {event.turn} could not be written to stdout: {event.text}" not in errors:
            yield f"turn {event.turn} was heard, not written, and not said"
    if summary is not None and _unwritten(summary) != len(unwritten):
        yield f"{len(unwritten)} finals are not written, the summary says {_unwritten(summary)}"
    if unwritten and process.signals and process.exit == 0 and process.signals[0][0] < process.stdout.gone_at:
        yield "exit code 0, and words of a run that was ended by a signal found no reader"
    if unwritten and course.scenario.spool and process.exit != 2 and not process.left_spool:
        yield "words found no reader, and the spool is gone"


def _hurried(process: Process) -> bool:
    """Whether somebody did not want to wait for the reader of stdout."""
    return len(process.signals) > 1


# -- when it ended ----------------------------------------------------------------------------------------------------


def _patience(course: Course, process: Process) -> Iterator[str]:
    if process.exit is None:
        return
    scenario = course.scenario
    options = dict(zip(scenario.options, scenario.options[1:], strict=False))
    retry, drain = float(options.get("--retry-for", 120)), float(options.get("--drain-timeout", 10))
    settled_by = max(process.began, course.last_fault)
    speed = options.get("--speed", "max")
    sound = scenario.length_s / (1.0 if scenario.live or speed == "max" else float(speed))
    turns = len(scenario.turns) + 2
    patience = 2 * retry + 5 + drain * turns + 4 * sound + 8 * 4 + 130 + scenario.dials.final_s * turns
    if process.ended - settled_by > patience + _CLOSING_S:
        yield f"the run ended {process.ended - settled_by:.0f} s after the last fault; its patience is {patience:.0f} s"
    if process.signals:
        first = process.signals[0][0]
        limit = 3 * drain + 15 + course.last_fault * 0 + _stopped(course)
        if process.ended - max(first, course.last_fault) > limit + drain * turns:
            yield f"the run ended {process.ended - first:.0f} s after the first signal"
    if len(process.signals) > 1 and process.ended - process.signals[1][0] > 4 + 12 * _slow_disk(course):
        yield f"the run ended {process.ended - process.signals[1][0]:.1f} s after the second signal"


def _stopped(course: Course) -> float:
    return max((fault.lasts for fault in course.scenario.faults if fault.kind == "reader_slow"), default=0.0)


def _slow_disk(course: Course) -> bool:
    return any(fault.kind in {"disk_slow", "kill"} for fault in course.scenario.faults)


# -- the words --------------------------------------------------------------------------------------------------------


def _words(course: Course) -> Iterator[str]:
    counts = np.zeros(course.sound.stop, np.int32)
    approx = np.zeros(course.sound.stop, bool)
    last = 0
    seen: dict[int, str] = {}
    unsaved = False
    for process in course.processes:
        repeats = _repeated(process)
        for event in _events(process, "Final"):
            if INVENTED in event.text:
                yield f"words from silence: turn {event.turn}"
                continue
            if event.turn in repeats and seen.get(event.turn) == event.text:
                continue
            if event.turn in seen and event.turn not in repeats and not unsaved:
                yield f"turn {event.turn} is printed twice"
            seen[event.turn] = event.text
            for first, upto in _ranges(event.text):
                if upto >= course.sound.stop:
                    yield f"turn {event.turn} says {event.text}: nobody spoke that"
                    break
                if event.approx is True:
                    approx[first : upto + 1] = True
                if first < last and event.approx is not True and not approx[first : upto + 1].any():
                    yield f"turn {event.turn} says {event.text} after {last}: out of order, or twice"
                yield from _range(course, event, first, upto)
                if event.approx is not True:  # behind a guess, words from before it may come again, or at last
                    last = max(last, upto + 1)
                counts[first : upto + 1] += 1
            if "?" in event.text:
                yield f"turn {event.turn} says {event.text}: garbled sound"
        if any(event.code == "spool_failed" for event in _events(process, "Warned")):
            # It said so: what it printed from then on, the next process does not know of.
            unsaved, last = True, 0
            approx |= counts > 0
    doubled = np.flatnonzero((counts > 1) & ~approx)
    if doubled.size:
        yield f"{doubled.size} numbers are in two finals: {read_ranges(doubled)}"
    yield from _missing(course, counts)
    yield from _given(course)


def _range(course: Course, event: Any, first: int, upto: int) -> Iterator[str]:
    """The range of a final holds its words, or says that it is a guess."""
    start, end = (int(position) // MS for position in _positions(course, np.array([first, upto])))
    if event.approx is not True and not (event.start_ms - _BESIDE_MS <= start and end <= event.end_ms + _BESIDE_MS):
        yield f"turn {event.turn} is said to lie in {event.start_ms}-{event.end_ms}, its words in {start}-{end} ms"


def _positions(course: Course, numbers: Array) -> Array:
    """Return the timeline positions of numbers: the sound, and the time for which the machine slept before it."""
    positions = course.sound.positions(numbers)
    upto = 0
    for gap in sorted(_suspensions(course), key=lambda gap: (gap.start_ms, gap.end_ms)):
        start = max(gap.start_ms, upto)  # a resumed process says again what is not settled of a gap
        upto = max(gap.end_ms, start)
        positions += np.where(positions >= start * MS, (upto - start) * MS, 0)
    return positions


def _repeated(process: Process) -> set[int]:
    """Return the turns of which the program said that it may have printed them before."""
    return {
        int(number)
        for event in _events(process, "Warned")
        if event.code == "repeated"
        for number in re.findall(r"\d+", event.message.partition("turn ")[2])
    }


def _missing(course: Course, counts: Array) -> Iterator[str]:
    """Numbers before the settled mark that no final has, and no hole."""
    last = course.processes[-1]
    # What a killed process had settled counts as far as the next one knows of it.
    ended = [process for process in course.processes if process.exit is not None]
    settled = max((tape.settled for process in ended for tape in process.watch.tapes), default=0)
    if last.exit is None:
        return
    holes: list[Any] = []
    longest = max((tape.captured for process in course.processes for tape in process.watch.tapes), default=0)
    absent = np.flatnonzero(counts == 0)
    absent = absent[absent >= FIRST]
    positions = _positions(course, absent)
    covered = np.zeros(max(longest, course.sound.samples, *positions[-1:]) + MS, bool)
    for process in course.processes:
        # Where a final says that its range is a guess, the words beside it may be those of a hole.
        holes += _events(process, "Dropped")
        guesses = [event for event in _events(process, "Final") if event.approx is True]
        for event in [*_events(process, "Dropped"), *guesses]:
            covered[max(0, event.start_ms * MS - MS) : event.end_ms * MS + MS] = True
        for start, end in [hole for tape in process.watch.tapes for hole in tape.holes]:
            covered[start:end] = True
    lost = absent[(positions + 1 < settled) & ~covered[positions]]
    captured = [tape.captured for process in course.processes for tape in process.watch.tapes]
    edges = [*(event.start_ms * MS for event in holes), *captured]
    runs = [
        run for run in _split(lost) if len(run) > _STUB or not _at_edge(int(_positions(course, run[-1:])[0]), edges)
    ]
    if runs:
        yield f"{sum(map(len, runs))} numbers are lost, and no hole says so: {read_ranges(np.concatenate(runs))}"


def _at_edge(position: int, edges: list[int]) -> bool:
    return any(abs(edge - position) <= 2 * MS for edge in edges)


def _split(numbers: Array) -> list[Array]:
    return [run for run in np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1) if run.size]


def _given(course: Course) -> Iterator[str]:
    """Each session was given sound without a gap that no hole explains, and never noise."""
    for session in course.endpoint.sessions:
        if not session.heard:
            continue
        samples = np.concatenate(session.heard)
        spoken = samples[samples != 0]
        text = read_back(spoken[: spoken.size // 2 * 2])
        if "?" in text:
            yield "an endpoint was given noise"


def _ranges(text: str) -> Iterator[tuple[int, int]]:
    for first, last in _RANGE.findall(text):
        yield int(first), int(last)


def read_ranges(numbers: Array) -> str:
    """Return numbers as ranges."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    return " ".join(f"{part[0]}-{part[-1]}" for part in np.split(numbers, breaks)[:4])


def kind_of(failure: str) -> str:
    """Return a failure without its numbers, to tell failures of one kind."""
    return re.sub(r"[\d.]+", "#", re.sub(r"'[^']*'|\[[^]]*\]", "...", failure))[:100]


def kinds(failures: list[str]) -> Counter[str]:
    """Count the kinds of failures."""
    return Counter(map(kind_of, failures))
