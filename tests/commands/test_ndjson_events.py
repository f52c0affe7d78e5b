"""What NDJSON says beside the words: the source, the clock, the endpoint's own names and events, a heartbeat."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.program import noise, rt, write_wav
from tests.servers import polite, scripted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Client

MODEL = ("-m", "gpt-4o-transcribe", "--turn-detection", "none")
CLOCK = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ")


async def prices(client: Client) -> None:
    """Says what a turn costs and how sure it is."""
    await client.greet()
    await client.until("input_audio_buffer.commit")
    item = await client.commit()
    await client.say(
        "conversation.item.input_audio_transcription.completed",
        item_id=item,
        transcript="hello",
        usage={"type": "tokens", "total_tokens": 9},
        logprobs=[{"token": "hello", "logprob": 0.0}],
    )
    await client.until("nothing")


def test_every_line_has_its_time_and_the_source_is_first(tmp_path: Path) -> None:
    """So a log of several runs can be read, and joined with that of the endpoint."""
    sound = write_wav(tmp_path / "sound.wav", noise(24_000))
    with scripted(prices) as server:
        ran = rt("send", "--url", server.url, *MODEL, "--json", str(sound))
    assert ran.exit == 0, ran.err
    assert all(CLOCK.fullmatch(event["at"]) for event in ran.events), ran.out
    assert [event["at"] for event in ran.events] == sorted(event["at"] for event in ran.events)

    source, *_ = ran.events
    assert (source["type"], source["source"], source["kind"], source["duration_ms"]) == (
        *("source", str(sound), "file", 1_000),
    )
    assert CLOCK.fullmatch(source["began"])
    (final,) = ran.of("final")
    assert (final["item_id"], final["usage"], final["confidence"]) == ("item_1", {"total_tokens": 9}, 1.0)
    assert [event["session_id"] for event in ran.of("session") if event["state"] == "ready"] == ["sess_1"]


def test_raw_events_and_a_heartbeat(tmp_path: Path) -> None:
    """Each event of the endpoint as it came; progress as often as asked for."""
    sound = write_wav(tmp_path / "sound.wav", noise(24_000))
    with scripted(polite("hello")) as server:
        ran = rt(
            *("send", "--url", server.url, *MODEL, "--json", "--raw", "--progress", "300ms", "--speed", "1"), str(sound)
        )
    assert ran.exit == 0, ran.err
    assert [event["event"]["type"] for event in ran.of("raw")][:2] == ["session.created", "session.updated"]
    progress = ran.of("progress")
    assert 3 <= len(progress) <= 8
    assert [each["captured_ms"] for each in progress] == sorted(each["captured_ms"] for each in progress)


@pytest.mark.parametrize("option", [("--raw",), ("--progress", "1s")])
def test_lines_of_ndjson_need_ndjson(option: tuple[str, ...]) -> None:
    """An option that adds lines to it says what is missing."""
    ran = rt("send", "--url", "ws://127.0.0.1:9", *option, "talk.wav")

    assert (ran.exit, ran.causes) == (2, [f"rt: {option[0]} adds lines of NDJSON: add --json"])


def test_a_silent_file_is_a_warning(tmp_path: Path) -> None:
    """Nobody spoke: exit 0, and one line that says so."""
    sound = write_wav(tmp_path / "noise.wav", noise(48_000))
    ran = rt("send", "--local", str(sound))

    assert (ran.exit, ran.out) == (0, "")
    assert ran.err == f"warning: {sound}: no speech in 2.0 s\n"
