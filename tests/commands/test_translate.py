"""``--translate`` from the command line, against the stand-in of ``rt serve``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.program import Ran, assert_accounted, ended, read_wav, rt, served, start, write_wav
from tests.server.client import recording, silence

if TYPE_CHECKING:
    from pathlib import Path

SAID = recording("sense_0930")
SOUND = SAID + silence(2) + SAID + silence(0.1)
TURNS = [("one two.", "es:one es:two."), ("three four.", "es:three es:four.")]


@pytest.fixture
def talk(tmp_path: Path) -> str:
    """Two turns."""
    return str(write_wav(tmp_path / "talk.wav", SOUND))


def translate(tmp_path: Path, *args: str, faults: tuple[str, ...] = ()) -> Ran:
    """Run ``rt send --translate spanish`` at full speed; the recogniser hears two words a turn."""
    words = tmp_path / "words.txt"
    words.write_text("one two\nthree four\n" * 2)
    options = [word for fault in faults for word in ("--fault", fault)]
    with served("--recognizer", f"script:{words}", *options) as (url, _):
        return rt("send", "--url", url, "--speed", "max", "--translate", "spanish", *args)


def pairs(ran: Ran) -> list[tuple[str, str]]:
    """What was said, and its translation."""
    texts = {each["turn"]: each["text"] for each in ran.of("translation")}
    return [(each["text"], texts[each["turn"]]) for each in ran.of("final")]


def test_ndjson_has_both_and_the_file_has_the_sound(talk: str, tmp_path: Path) -> None:
    """A language is there only where somebody named it."""
    ran = translate(tmp_path, "--json", "--output-audio", str(tmp_path / "es.wav"), talk)
    assert ran.exit == 0, ran.err
    assert pairs(ran) == TURNS
    assert {each["language"] for each in ran.of("translation")} == {"es"}
    assert not any("language" in each for each in ran.of("final"))
    assert ran.summary["translations"] == ran.summary["finals"] == 2
    assert_accounted(ran.summary)
    assert read_wav(tmp_path / "es.wav") == (SOUND, 24_000)
    first, second = ran.of("translation")
    assert first["start_ms"] < first["end_ms"] <= second["start_ms"]


def test_text_is_the_translation(talk: str, tmp_path: Path) -> None:
    """And nothing else."""
    ran = translate(tmp_path, talk)
    assert ran.out.splitlines() == [translation for _, translation in TURNS]


@pytest.mark.parametrize(("chosen", "side"), [((), 1), (("--translate-captions", "original"), 0)])
def test_captions_in_either_language(chosen: tuple[str, ...], side: int, talk: str, tmp_path: Path) -> None:
    """The translation, unless the original is asked for."""
    ran = translate(tmp_path, "-o", "vtt", *chosen, talk)
    lines = ran.out.splitlines()
    assert lines[0] == "WEBVTT"
    assert [line for line in lines[1:] if line and "-->" not in line] == [turn[side] for turn in TURNS]


def test_sound_on_stdout_leaves_it_to_the_sound(talk: str, tmp_path: Path) -> None:
    """The words are on stderr; NDJSON needs a file."""
    words = tmp_path / "words.txt"
    words.write_text("one two\nthree four\n")
    with served("--recognizer", f"script:{words}") as (url, _):
        process = start("send", "--url", url, "--speed", "max", "--translate", "es", "--output-audio", "-", talk)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out[:4] == b"RIFF"
    assert out[44:] == SOUND
    assert [line for line in err.decode().splitlines() if "es:" in line] == [turn[1] for turn in TURNS]
    refused = rt("send", "--local", "--json", "--translate", "es", "--output-audio", "-", talk)
    assert refused.exit == 2
    assert "stdout" in refused.err


@pytest.mark.parametrize(
    "fault", ["drop@audio8s#1", "close=1011@audio8s#1", "expire=2s#1", "stall@audio8s/1s#1", "omit=session.closed#1"]
)
def test_a_fault_costs_no_word(fault: str, talk: str, tmp_path: Path) -> None:
    """Every word of both languages is there; what came twice says that it may have."""
    ran = translate(tmp_path, "--json", "--drain-timeout", "4", talk, faults=(fault,))
    assert ran.exit == 0, (ran.err, ran.out)
    assert_accounted(ran.summary)
    said = " ".join(text for text, _ in pairs(ran))
    for _, translation in pairs(ran):
        assert translation
    assert "one two." in said
    assert all(each["approx"] for each in ran.of("final"))
    assert ran.summary["ledger"]["settled"] == len(SOUND) // 2


def test_a_quota_is_one_error(talk: str, tmp_path: Path) -> None:
    """Not tried again."""
    ran = translate(tmp_path, "--json", talk, faults=("quota@audio1s",))
    assert ran.exit == 4
    assert [each["code"] for each in ran.of("error")] == ["insufficient_quota"]


def test_an_endpoint_without_the_route(talk: str) -> None:
    """One line that says what is missing."""
    with served("--recognizer", "none", "--fault", "status=404") as (url, _):
        ran = rt("send", "--url", url, "--translate", "es", talk)
    assert ran.exit == 6
    (line,) = ran.causes
    assert "no translations at" in line
    assert "404" in line


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--gate",), "--gate"),
        (("--language", "en"), "--language"),
        (("--translate", "es,de"), "one language"),
        (("--translate", "spnish"), "spanish"),
        (("--channel", "split", "--output-audio", "x.wav"), "one session"),
    ],
)
def test_what_does_not_go_together_is_refused(args: tuple[str, ...], said: str, talk: str) -> None:
    """Before anything is opened."""
    ran = rt("send", "--local", "--translate", "es", *args, talk)
    assert ran.exit == 2
    assert said in ran.err


def test_sound_without_a_translation_is_refused(talk: str) -> None:
    """A transcription has none."""
    ran = rt("send", "--local", "--output-audio", "x.wav", talk)
    assert ran.exit == 2
    assert "--translate" in ran.err


def test_a_killed_run_is_resumed_with_both_languages(talk: str, tmp_path: Path) -> None:
    """The spool has the translations of its finals, too."""
    words = tmp_path / "words.txt"
    words.write_text("one two\nthree four\n")
    spool = tmp_path / "spool"
    options = ("--translate", "es", "--json")
    with served("--recognizer", f"script:{words}") as (url, _):
        process = start(
            "send", "--url", url, "--translate", "es", "--json", "--speed", "4", "--spool", str(spool), talk
        )
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["type"] == "translation":
                break
        process.kill()
        ended(process)
        ran = rt("send", "--url", url, *options, "--speed", "max", "--resume", str(spool))
    assert ran.exit == 0, ran.err
    assert [translation for _, translation in pairs(ran)][-1].startswith("es:")
    assert all(each["turn"] >= 1 for each in ran.of("translation"))
    assert len(ran.of("translation")) == len(ran.of("final"))
