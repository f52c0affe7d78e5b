"""The reference of NDJSON: every field that is written, as it is written."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, get_args

import msgspec
import pytest

from rt_cli import events
from rt_cli.contract import ContractEvent
from rt_cli.conversation_events import BargedIn, LatencyMeasured, ReplyEnded, ToolCalled
from rt_cli.events import Translation
from rt_cli.help.event_reference import event_classes, event_reference, section_of
from rt_cli.output.results.ndjson import to_json
from tests.program import DATA
from tests.test_old_files import LINES, SUMMARY

ROW = re.compile(r"^\| `([\w.]+)` \| (.+?) \| (.*?) \| ([\d.]+) \| (.*?) \|$", re.MULTILINE)


def rows(section: str) -> dict[str, tuple[str, ...]]:
    """Return type, unit, first version and meaning of each field of a section."""
    return {found[0]: found[1:] for found in ROW.findall(section)}


def sections() -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the rows by event type."""
    parts = re.split(r"^## (\w+)\n", event_reference(), flags=re.MULTILINE)[1:]
    return {kind: rows(section) for kind, section in zip(parts[::2], parts[1::2], strict=True)}


def fields_of(line: dict[str, Any], prefix: str = "") -> set[str]:
    """Return the names of all fields of a line, those of its objects with a dot."""
    names = set()
    for name, value in line.items():
        names.add(f"{prefix}{name}")
        if isinstance(value, dict):
            names |= fields_of(value, f"{prefix}{name}.")
    return names - {"type"}


GOLDEN = [json.loads(line) for line in (DATA / "v0.1" / "lines.jsonl").read_text().splitlines()]
READY = events.SessionChanged("ready", "ws://h", "openai", "whisper-1", 24_000)
OUTAGE = {"captured_ms": 10, "give_up_ms": 1_000, "outage_ms": 1, "resent_ms": 1}
NEW: list[ContractEvent] = [
    events.SourceOpened("m", "microphone", 48_000, 1, 24_000, None, device="Mic", began="2026", rt="0.2"),
    msgspec.structs.replace(READY, session_id="s", request_id="r", **OUTAGE),
    events.SpeechBegan(1, 0, "i"),
    events.SpeechEnded(1, 9, "i"),
    events.TurnSegment(1, "hi", "A", 0, 9, "i"),
    events.Partial(1, "hi", item_id="i"),
    events.Final(1, "hi", item_id="i", speaker="A", confidence=0.5, usage=events.TurnUsage(1, 2, 3, 0.5)),
    events.Failed(1, 0, 9, "c", "m", item_id="i"),
    events.Warned("c", "m", minor=True),
    events.Progress(0, 0, 0, 0, 0.0, 0.0, 1.0, "ready", cost=events.Cost(1.0, "EUR")),
    events.RawEvent({"type": "x"}),
    ReplyEnded(1, "yes", 900, 400, "cancelled", interrupted=True),
    ToolCalled("weather", "{}", 0, 12),
    BargedIn(1400, 400),
    LatencyMeasured(1, 500, 200, 700),
    Translation(turn=1, text="hola", language="es", start_ms=0, end_ms=900, approx=True),
    msgspec.structs.replace(SUMMARY, translations=1),
    msgspec.structs.replace(SUMMARY, replies=1, interruptions=1, tool_calls=1),
]
"""Events and fields that came after the golden lines."""
STAMPED = [msgspec.structs.replace(event, at="2026") for event in (*NEW, *(line[0] for line in LINES))]
WRITTEN = [*GOLDEN, *(json.loads(to_json(*arguments)) for arguments in LINES), *map(json.loads, map(to_json, STAMPED))]
AT = "Wall clock when the event happened: UTC, ISO 8601 with milliseconds. Set for every line."


@pytest.mark.parametrize("line", WRITTEN, ids=lambda line: line["type"])
def test_every_field_that_is_written_is_there(line: dict[str, Any]) -> None:
    """Of the lines that version 0.1 wrote, and of the same events today; source and channel may be on every line."""
    known = set(sections()[line["type"]])
    assert fields_of(line) - known - {"source", "channel", "event.type"} == set()


def test_there_are_no_other_types_and_fields() -> None:
    """Everything that is listed is in some line, in its order."""
    found: dict[str, set[str]] = {}
    for line in WRITTEN:
        found.setdefault(line["type"], set()).update(fields_of(line))
    listed = sections()
    assert listed.keys() == found.keys()
    assert [(kind, name) for kind, names in listed.items() for name in names if name not in found[kind]] == []


def test_events_for_the_status_alone_are_left_out() -> None:
    """Scripts never see them."""
    others = {events.Noted, events.EndpointChosen, events.KeysOffered}
    assert others & set(event_classes()) == set()
    assert others | set(event_classes()) == set(get_args(events.Event))


def test_type_unit_and_presence_are_right() -> None:
    """A sample of each kind."""
    listed = sections()
    assert listed["final"]["turn"] == ("integer", "", "0.1", "Number of the turn.")
    assert listed["final"]["start_ms"][:2] == ("integer, may be absent", "ms")
    assert listed["final"]["approx"][0] == "boolean, may be absent"
    assert listed["dropped"]["reason"][0].startswith("`overflow`, `device_lost`")
    assert listed["final"]["latency_ms"][3] == "Time from the end of speech to the final."
    assert listed["session"]["rate_hz"][:2] == ("integer", "Hz")
    assert listed["session"]["state"][0].startswith("`ready`, `stalled`, `lost`")
    assert listed["summary"]["latency_ms"][0] == "object or null"
    assert listed["summary"]["latency_ms.p95"][:2] == ("integer", "ms")
    assert listed["summary"]["ledger.in_flight"][:2] == ("integer", "samples")
    assert listed["summary"]["cost.amount"][:2] == ("number", "")
    assert listed["control"]["talking"][0] == "boolean or null"


def test_every_field_has_a_meaning() -> None:
    """In whole sentences, at its declaration; each value of a list of values is explained."""
    unexplained = []
    for kind, fields in sections().items():
        for name, (values, _, since, meaning) in fields.items():
            if not since or not meaning.endswith(".") or not (meaning[:1].isupper() or meaning.startswith("`")):
                unexplained.append(f"{kind}.{name}")
            unexplained += [
                f"{kind}.{name}={value}" for value in re.findall(r"`(\w+)`", values) if f"`{value}`" not in meaning
            ]
    assert unexplained == []


class Planted(ContractEvent, frozen=True, tag="planted", kw_only=True):
    """A planted event. Of a test."""

    at_ms: int
    kind: Literal["a", "b"] | None
    mark: str | msgspec.UnsetType = msgspec.UNSET
    new_hz: Annotated[float | None, msgspec.Meta(extra={"since": "0.3"})] = None
    """None | where there is ``none``."""


def test_a_new_field_needs_no_other_place() -> None:
    """Its declaration says everything, the first version that has it, too."""
    section = section_of(Planted)

    assert section.startswith("## planted\n\nA planted event.\n")
    assert rows(section) == {
        "at_ms": ("integer", "ms", "0.1", ""),
        "kind": ("`a`, `b` or null", "", "0.1", ""),
        "mark": ("string, may be absent", "", "0.1", ""),
        "new_hz": ("number or null", "Hz", "0.3", r"null \| where there is `none`."),
        "at": ("string, may be absent", "", "0.2", AT),
    }
