"""What version 0.1 wrote stays readable: ``tests/data/v0.1`` was made by it, and is never made anew.

``spool`` is of a run over a pipe that was killed between its two turns. ``rt-done`` has the marks of ``MARKED``.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from rt_cli.config.layers import load_settings
from rt_cli.events import (
    ControlChanged,
    Cost,
    Dropped,
    Errored,
    Failed,
    Final,
    Latency,
    Ledger,
    Partial,
    SessionChanged,
    Summary,
    Total,
    Warned,
    Withdrawn,
)
from rt_cli.output.results.ndjson import to_json
from rt_cli.protocol.recording_format import entries
from rt_cli.run.plan import make_plan
from rt_cli.run.skip_done import DoneMarks, determinants
from rt_cli.timeline.spool import JOURNAL, Spool
from tests.program import DATA, assert_accounted, ended, needs_words, rt, start
from tests.summaries import summary_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rt_cli.contract import ContractEvent

OLD = DATA / "v0.1"
SAID = "he might even have been made amiable himself"

LEDGER = Ledger(
    captured=48_000, settled=24_000, acknowledged=12_000, in_flight=2_400, waiting=2_400, dropped=7_200, padding=480
)


def summary(**more: Any) -> Summary:
    """Return a summary with the same samples."""
    fields: dict[str, Any] = {"complete": False, "rate_hz": 24_000, "ledger": LEDGER, "finals": 3, "reconnects": 1}
    return summary_of("a.wav", 7, wall_ms=2_100, **fields | more)


SUMMARY = summary()
READY = SessionChanged("ready", "ws://127.0.0.1:1/v1/realtime", "openai", "whisper-1", 24_000)
LINES: Sequence[tuple[ContractEvent, str | None, str | None]] = [
    *(
        (event, None, None)
        for event in (
            READY,
            msgspec.structs.replace(READY, state="lost", attempt=2, reason="1006"),
            Partial(1, "he"),
            Partial(1, "he", 0),
            Withdrawn(2),
            Final(1, ""),
            Final(2, "caf\u00e9 \u202e \x9b", 0, 900),
            Final(1, "hello", 0, 900, approx=True, language="en", latency_ms=0, resumed=True),
            Failed(3, 0, 10, "server_error", "no"),
            Dropped(0, 40, "overflow"),
            Warned("silent", "no sound"),
            Errored("dns", "no host"),
            Errored("dns", "no host", "check it"),
            SUMMARY,
            summary(latency_ms=Latency(100, 200, 300), sent=24_000, gated=240, cost=Cost(0.25, "EUR"), skipped=True),
            summary(rate_hz=0, unwritten=1),
            Total(7, 2, 5, 1, 4_000, 3_000, 300, 5_000),
            Total(7, 2, 5, 1, 4_000, 3_000, 300, 5_000, skipped=1),
            ControlChanged(0, muted=True, talking=None),
            ControlChanged(40, muted=False, talking=True),
        )
    ),
    (READY, "a.wav", "left"),
    (SUMMARY, "b.wav", "right"),
]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A copy of the spool."""
    return shutil.copytree(OLD / "spool", tmp_path / "spool")


def assert_same_fields(old: Any, new: Any) -> None:
    """A new line has every field of the old one with its value, in the same order; it may have more."""
    if isinstance(old, dict):
        assert [name for name in new if name in old] == list(old)
        for name, value in old.items():
            assert_same_fields(value, new[name])
    else:
        assert new == old
        assert type(new) is type(old)


@pytest.mark.parametrize("number", range(len(LINES)))
def test_ndjson_lines_keep_every_field(number: int) -> None:
    """Names, values, types and order, for every type of line."""
    golden = (OLD / "lines.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(golden) == len(LINES)
    assert_same_fields(json.loads(golden[number]), json.loads(to_json(*LINES[number])))


def test_every_type_of_line_is_held() -> None:
    """The golden lines leave out no type of the contract of then."""
    golden = (OLD / "lines.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["type"] for line in golden} == {
        *("session", "partial", "withdrawn", "final", "failed", "dropped", "warning", "error", "summary", "total"),
        "control",
    }


@pytest.mark.parametrize(("profile", "name"), [(None, "default"), ("lab", "lab")])
def test_config_file_means_the_same(profile: str | None, name: str) -> None:
    """Each key of then has the value of then; keys that came later have their defaults."""
    settings = asdict(load_settings({}, config=OLD / "config.toml", profile=profile, environ={}))
    old = json.loads((OLD / "config.json").read_text())[name]
    old["output"]["verbose"] = 2 if old["output"]["verbose"] else 0  # a flag then, which showed the wire
    settings["delivery"]["speed"] = "inf" if math.isinf(settings["delivery"]["speed"]) else None
    assert {
        table: {key: json.loads(json.dumps(settings[table][key])) for key in content} for table, content in old.items()
    } == old


MARKED: list[dict[str, object]] = [
    {},
    {"turn_detection": "client"},
    {"format": "srt", "gate": True, "silence_ms": "700"},
    {"extra": ["audio.input.noise_reduction=null"], "language": "en", "channel": "left", "gain": "3"},
    {"timestamps": True, "duration": "2"},
]
"""The options that the marks of ``rt-done`` were made with, beside ``--local``."""


@needs_words
@pytest.mark.parametrize("number", range(len(MARKED)))
def test_marks_of_finished_files_stay_valid(number: int, tmp_path: Path) -> None:
    """A setting that is added later must not void a mark: its file would be paid for again."""
    shutil.copy(OLD / "rt-done", tmp_path / "done")
    done = DoneMarks(tmp_path / "done")
    settings = load_settings({"local": True, **MARKED[number]}, environ={})
    mark = done.mark_of(str(DATA / "sense_0930.wav"), determinants(settings, make_plan(settings, {})))
    assert mark == (OLD / "rt-done").read_text().splitlines()[number]
    assert mark in done


def test_new_session_settings_do_not_count_while_unset() -> None:
    """What a mark depends on: the settings of version 0.1 always, later ones only where they are set."""
    settings = load_settings({"local": True}, environ={})
    speech = determinants(settings, make_plan(settings, {}))["speech"]
    assert isinstance(speech, dict)
    assert list(speech) == [
        *("language", "prompt", "turn_detection", "vad_threshold", "silence_ms", "prefix_ms", "max_turn_s"),
        *("noise_reduction", "extra"),
    ]
    every = {field.name for field in fields(settings.session)}
    for field in every - set(speech):
        changed = replace(settings, session=replace(settings.session, **{field: "other"}))
        assert field in determinants(changed, make_plan(settings, {}))["speech"]  # type: ignore[operator]


def test_marks_of_the_whole_program(tmp_path: Path) -> None:
    """``--skip-done`` leaves the file out, and needs no recogniser for that."""
    (tmp_path / "out").mkdir()
    shutil.copy(OLD / "rt-done", tmp_path / "out" / ".rt-done")
    sound = str(DATA / "sense_0930.wav")
    ran = rt("send", "--local", "--json", "--skip-done", "--output-dir", str(tmp_path / "out"), sound)
    assert ran.exit == 0
    assert not list((tmp_path / "out").glob("*.json"))


@needs_words
def test_spool_of_a_killed_run_is_delivered(spool: Path) -> None:
    """The second turn is heard, with the number that follows; the first, not known to be printed, is printed again."""
    ran = rt("send", "--local", "--json", "--resume", str(spool))
    assert ran.exit == 0
    finals = [final for final in ran.of("final") if final["text"]]
    assert [final["turn"] for final in finals] == [1, 2]
    assert finals[0]["text"] == SAID
    # The recogniser does not hear the last words of the second one the same way each time.
    assert finals[1]["text"].startswith("he might even have been made")
    assert ran.of("final")[0]["resumed"]
    assert ran.summary["captured_ms"] == 8043
    assert_accounted(ran.summary)
    assert not spool.exists()


def test_spool_is_read_to_the_sample(spool: Path) -> None:
    """Marks, end and finals of the journal."""
    opened, contents = Spool.reopen(spool)
    opened.close(delivered=False)
    assert (contents.settled, contents.captured, contents.next_turn) == (102_624, 193_042, 2)
    assert [final["text"] for final in contents.finals] == [SAID]
    assert (contents.holes, contents.ended) == ([], False)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"type": "of tomorrow", "turn": 3}, id="type"),
        pytest.param({"type": "hole", "start": 110_000, "end": 111_000, "reason": "of tomorrow"}, id="reason"),
        pytest.param({"type": "final", "turn": 1, "text": "x", "of_tomorrow": [1]}, id="field"),
    ],
)
def test_journal_of_a_later_version_is_read(spool: Path, record: dict[str, object]) -> None:
    """An unknown record is passed over, an unknown reason is a hole like others, an unknown field is left alone."""
    with (spool / JOURNAL).open("ab") as journal:
        journal.write(json.dumps(record).encode() + b"\n")
    opened, contents = Spool.reopen(spool)
    opened.close(delivered=False)
    assert contents.settled == 102_624
    assert [reason for _, _, reason in contents.holes] == (["of tomorrow"] if "reason" in record else [])


@pytest.mark.parametrize("name", ["recording.rec", "recording_audio.rec"])
def test_recording_is_printed(name: str) -> None:
    """Every event and message of it."""
    ran = rt("replay", "--all", str(OLD / name))
    assert ran.exit == 0
    assert "conversation.item.input_audio_transcription.completed" in ran.out
    assert SAID in ran.out
    lines = (OLD / name).read_bytes().splitlines(keepends=True)
    assert len(list(entries(lines, name))) == len(lines)


def test_recording_is_played_to_a_client() -> None:
    """The endpoint of then, and today's client: the words of then."""
    with start("replay", "--serve", "--port", "0", "--speed", "max", str(OLD / "recording_audio.rec")) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        ran = rt("send", "--url", url, "-m", "pocketsphinx", "--speed", "max", str(DATA / "sense_0930.wav"))
        replayed = ended(process)
    assert (ran.out.strip(), ran.exit) == (SAID, 0)
    assert replayed.exit == 0, replayed.err
