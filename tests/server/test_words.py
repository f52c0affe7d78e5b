"""Human speech with the real detector and the real recogniser process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

from rt_cli.server.recognition.pocketsphinx import process as decoder
from rt_cli.server.recognition.pocketsphinx.recognizer import DEMO_QUALITY
from rt_cli.server.recognition.registry import unavailable
from rt_cli.server.server import serve
from tests.fakes import run
from tests.server.client import (
    COMPLETED,
    DATA,
    DELTA,
    FAILED,
    TRANSCRIBE,
    Client,
    endpoint,
    noise,
    recording,
    session,
    silence,
)

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

POCKETSPHINX: dict[str, Any] = {"recognizer": "pocketsphinx"}
SERVER_VAD = {"type": "server_vad", "silence_duration_ms": 500}
PROC = pytest.mark.skipif(not Path("/proc").exists(), reason="finds the recogniser's process in /proc")


def reference(name: str) -> list[str]:
    """The words of a clip in pocketsphinx's spelling."""
    row = next(line for line in (DATA / "README.md").read_text().splitlines() if f"`{name}.wav`" in line)
    return row.split("|")[2].replace("mister", "mr").split()


def errors(said: list[str], heard: list[str]) -> int:
    """The edit distance in words."""
    distances = list(range(len(heard) + 1))
    for row, word in enumerate(said, 1):
        diagonal, distances[0] = distances[0], row
        for column, other in enumerate(heard, 1):
            best = min(distances[column] + 1, distances[column - 1] + 1, diagonal + (word != other))
            diagonal, distances[column] = distances[column], best
    return distances[-1]


def right(name: str, text: str) -> float:
    """The share of correct words."""
    return 1 - errors(reference(name), text.split()) / len(reference(name))


def workers() -> list[int]:
    """The processes of the recogniser."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue  # has ended meanwhile
        if parent == os.getpid() and b"worker.py" in command:
            found.append(int(entry.name))
    return found


async def transcribe(client: Client, sound: bytes) -> str:
    """The text of one manual turn."""
    await client.append(sound)
    await client.send("input_audio_buffer.commit")
    return str((await client.until(COMPLETED, FAILED)).get("transcript", "failed"))


@pytest.mark.parametrize("name", ["sense_0930", "sense_0870"])
@pytest.mark.parametrize("turns", ["server vad", "manual"])
def test_words(name: str, turns: str) -> None:
    """Three quarters of the words are right, and at least two deltas come before the final text."""

    async def scenario() -> Client:
        async with endpoint(**POCKETSPHINX) as client:
            detection = SERVER_VAD if turns == "server vad" else None
            await client.configure(transcription=TRANSCRIBE, turn_detection=detection)
            await client.append(recording(name) + silence(0.7))
            if detection is None:
                await client.send("input_audio_buffer.commit")
            await client.until(COMPLETED)
            return client

    client = run(scenario(), 60)
    assert right(name, client.seen[-1]["transcript"]) >= 0.75
    assert len(client.of(DELTA)) >= 2


def test_deltas_come_during_speech() -> None:
    """In real time the first words come before the end of the audio."""

    async def scenario() -> Client:
        async with endpoint(**POCKETSPHINX) as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=None)
            clip = recording("sense_0870")
            reading = asyncio.create_task(client.until(DELTA))
            start = asyncio.get_running_loop().time()
            for at in range(0, len(clip), 4_800):
                await client.append(clip[at : at + 4_800])
                await asyncio.sleep(max(0.0, start + at / 48_000 - asyncio.get_running_loop().time()))
                if reading.done():
                    break
            await reading
            return client

    client = run(scenario())
    assert "input_audio_buffer.committed" not in [event["type"] for event in client.seen]


@pytest.mark.parametrize("sound", [silence(3), noise(3)], ids=["silence", "noise"])
@pytest.mark.parametrize("detection", [SERVER_VAD, None], ids=["server vad", "manual"])
def test_no_words_without_speech(sound: bytes, detection: dict[str, Any] | None) -> None:
    """Noise and silence give no words."""

    async def scenario() -> Client:
        async with endpoint(**POCKETSPHINX) as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=detection)
            assert await transcribe(client, sound) == ""
            return client

    assert run(scenario()).of(DELTA) == []


def test_sessions_are_independent() -> None:
    """The same audio gives the same words, whatever the process has recognised before."""

    async def scenario() -> list[str]:
        texts = []
        async with serve(recognizer="pocketsphinx") as server:
            for name in ("sense_0930", "sense_0870", "sense_0930"):
                async with session(server.url) as client:
                    await client.configure(transcription=TRANSCRIBE, turn_detection=None)
                    texts.append(await transcribe(client, recording(name)))
        return texts

    first, _, again = run(scenario(), 60)
    assert first == again


def test_several_sessions_at_once() -> None:
    """Concurrent sessions get their own words."""

    async def scenario() -> list[str]:
        async with serve(recognizer="pocketsphinx") as server:

            async def one(name: str) -> str:
                async with session(server.url) as client:
                    await client.configure(transcription=TRANSCRIBE, turn_detection=None)
                    return await transcribe(client, recording(name))

            return list(await asyncio.gather(one("sense_0930"), one("sense_0870")))

    short, long = run(scenario(), 60)
    assert right("sense_0930", short) >= 0.75
    assert right("sense_0870", long) >= 0.75


@PROC
def test_a_dead_recogniser_fails_one_item() -> None:
    """If the process dies, the current item fails and the next one works."""

    async def scenario() -> tuple[dict[str, Any], str]:
        async with endpoint(**POCKETSPHINX) as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=None)
            await client.append(recording("sense_0870")[:96_000])
            await client.barrier()
            for pid in workers():
                os.kill(pid, signal.SIGKILL)
            await client.send("input_audio_buffer.commit")
            failed = await client.until(FAILED, COMPLETED)
            return failed, await transcribe(client, recording("sense_0930"))

    failed, text = run(scenario())
    assert (failed["error"]["code"], failed["type"]) == ("server_error", FAILED)
    assert right("sense_0930", text) >= 0.75


@PROC
def test_a_recogniser_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hanging process is killed; its item fails and the next one works."""
    monkeypatch.setattr(decoder, "ANSWER_S", 10.0)

    async def scenario() -> tuple[dict[str, Any], str]:
        async with endpoint(**POCKETSPHINX) as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=None)
            await client.append(recording("sense_0870")[:144_000])
            await client.until(DELTA)
            for pid in workers():
                os.kill(pid, signal.SIGSTOP)
            await client.append(recording("sense_0870")[144_000:])
            await client.send("input_audio_buffer.commit")
            failed = await client.until(FAILED, COMPLETED)
            return failed, await transcribe(client, recording("sense_0930"))

    failed, text = run(scenario(), 90)
    assert "did not answer" in failed["error"]["message"]
    assert right("sense_0930", text) >= 0.75


def test_a_recogniser_that_cannot_start(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """If no process can start, each item fails after its commit."""
    monkeypatch.setattr(sys, "executable", "/no/such/python")

    async def scenario() -> Client:
        async with endpoint(**POCKETSPHINX) as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=SERVER_VAD)
            await client.append(recording("sense_0930") + silence(0.7))
            await client.until(FAILED)
            return client

    client = run(scenario())
    assert "cannot start" in client.seen[-1]["error"]["message"]
    assert client.seen[-1]["item_id"] == client.seen[-2]["item"]["id"]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_clear_during_speech() -> None:
    """Cleared audio has no events; later audio is another item with its own words."""

    async def scenario() -> Client:
        async with endpoint(**POCKETSPHINX) as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=None)
            await client.append(recording("sense_0870"))
            await client.until(DELTA)
            await client.send("input_audio_buffer.clear")
            await client.until("input_audio_buffer.cleared")
            await transcribe(client, silence(1) + recording("sense_0930"))
            return client

    client = run(scenario())
    (completed,) = client.of(COMPLETED)
    assert right("sense_0930", completed["transcript"]) >= 0.5
    assert client.of(DELTA)[0]["item_id"] != completed["item_id"]


@PROC
def test_back_pressure(tmp_path: Path) -> None:
    """While the recogniser stops, the server reads at most 5 s of speech plus the queue."""
    appends, seconds = 40, 1

    async def scenario() -> tuple[int, int]:
        async with endpoint(**POCKETSPHINX, save_audio=tmp_path) as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=None)
            await client.append(recording("sense_0870")[: 48_000 * 3])
            await client.until(DELTA)
            (worker,) = workers()
            os.kill(worker, signal.SIGSTOP)
            path = only_file(tmp_path)
            try:
                flood = asyncio.create_task(client.append((recording("sense_0870") * 6)[: appends * seconds * 48_000]))
                size = await stable_size(path)
            finally:
                os.kill(worker, signal.SIGCONT)
            await flood
            await client.barrier()
            return size, bytes_in(path)

    stalled, finally_ = run(scenario(), 60)
    assert stalled <= (3 + 5 + 2) * 48_000
    assert finally_ == 44 + (3 + appends * seconds) * 48_000


def only_file(directory: Path) -> Path:
    """The file in a directory."""
    (path,) = directory.iterdir()
    return path


def bytes_in(path: Path) -> int:
    """The size of a file."""
    return path.stat().st_size


async def stable_size(path: Path) -> int:
    """The size of a file when it no longer grows: unchanged for half a second, ten times the time of an append."""
    size = -1
    while (now := bytes_in(path)) != size:
        size = now
        await asyncio.sleep(0.5)
    return size


def test_the_loop_is_not_blocked() -> None:
    """Many appends block the event loop for less than 50 ms."""

    async def scenario() -> float:
        worst = 0.0

        async def probe() -> None:
            nonlocal worst
            while True:
                before = time.perf_counter()
                await asyncio.sleep(0.005)
                worst = max(worst, time.perf_counter() - before - 0.005)

        async with endpoint(**POCKETSPHINX) as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=SERVER_VAD)
            await client.append(silence(0.5))
            await client.barrier()  # imports and models are loaded
            probing = asyncio.create_task(probe())
            await client.append(recording("sense_0870") * 2 + silence(0.7))
            await client.until(COMPLETED)
            probing.cancel()
        return worst

    # A busy machine may stop the process itself, so one good run of three is enough.
    assert any(run(scenario()) < 0.05 for _ in range(3))


def test_the_official_client() -> None:
    """OpenAI's own library runs a transcription session."""

    async def scenario() -> str:
        import base64

        async with serve(recognizer="pocketsphinx") as server:
            base = server.url.removesuffix("/realtime")
            async with (
                AsyncOpenAI(
                    api_key="none", base_url=base.replace("ws://", "http://"), websocket_base_url=base
                ) as openai,
                openai.realtime.connect(extra_query={"intent": "transcription"}) as connection,
            ):
                audio_input: Any = {"transcription": {"model": "whisper-1"}, "turn_detection": SERVER_VAD}
                await connection.session.update(session={"type": "transcription", "audio": {"input": audio_input}})
                audio = base64.b64encode(recording("sense_0930") + silence(0.7)).decode()
                await connection.input_audio_buffer.append(audio=audio)
                async for event in connection:
                    if event.type == "conversation.item.input_audio_transcription.completed":
                        return event.transcript
        return ""

    assert right("sense_0930", run(scenario())) >= 0.75


@PROC
def test_no_process_is_left() -> None:
    """The end of the server ends the recogniser within a second, even during an item."""

    async def scenario() -> float:
        async with endpoint(**POCKETSPHINX) as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=None)
            await client.append(recording("sense_0870"))
            await client.until(DELTA)
            assert workers()
            began = time.monotonic()
        return time.monotonic() - began

    assert run(scenario()) < 1
    assert workers() == []


def test_starts_before_the_model_is_loaded() -> None:
    """The port is open before the model is loaded, and the notice has the quality."""

    async def scenario() -> tuple[float, str]:
        began = time.monotonic()
        async with serve(recognizer="pocketsphinx") as server:
            return time.monotonic() - began, server.notice

    took, notice = run(scenario())
    assert took < 0.2
    assert notice == DEMO_QUALITY


def test_without_pocketsphinx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pocketsphinx the server makes turns, and the notice says how to get words."""
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    async def scenario() -> tuple[str, str]:
        async with serve(recognizer="pocketsphinx") as server, session(server.url) as client:
            await client.configure(transcription=TRANSCRIBE, turn_detection=None)
            return await transcribe(client, recording("sense_0930")), server.notice

    text, notice = run(scenario())
    assert text == ""
    assert "pocketsphinx is not installed" in notice
