"""Invalid frames: no session breaks, nothing hangs, and nothing is kept."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.server.replies.registry import open_replier
from rt_cli.server.server import serve
from tests.fakes import run
from tests.program import ended, start
from tests.server.client import COMMITTED, STARTED, endpoint, recording, session, silence
from tests.server.fuzz import Fuzzer, Tally
from tests.server.transcription_server import Upload, transcription_server

if TYPE_CHECKING:
    import subprocess

CLOSES = {1007, 1006}
"""How a session ends because of a frame that is no UTF-8; its close frame is lost where we were still sending."""


LONG = 100_000
ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}
"""glibc gives every thread a pool of its own to fragment, which would hide what is kept."""


async def words(upload: Upload) -> None:
    """A recogniser with the same text for every turn."""
    await upload.answer({"text": "some words"})


async def good_client(url: str) -> None:
    """A well-behaved client is served."""
    async with session(url) as client:
        await client.append(silence(1))
        assert (await client.answer("input_audio_buffer.clear"))["type"] == "input_audio_buffer.cleared"


def test_three_thousand_frames(caplog: pytest.LogCaptureFixture) -> None:
    """Sessions continue, every hundredth frame gets an answer, all answers are valid, and no bug is reported."""
    told: list[dict[str, Any]] = []

    async def scenario() -> Tally:
        async with (
            transcription_server(words) as recognizer,
            open_replier("echo", reply_text=None, llm=None) as replier,
            serve(recognizer=f"http:{recognizer.url}", replier=replier, on_event=told.append) as server,
        ):
            fuzzer = Fuzzer(server.url, seed=1)
            async for _ in fuzzer.run(3_000):
                pass
            await good_client(server.url)
            return fuzzer.tally

    with caplog.at_level(logging.ERROR):
        tally = run(scenario(), 300)
    assert not [event for event in told if event["type"] == "warning"]
    assert not caplog.records
    assert set(tally.closes) <= CLOSES
    assert not tally.unprovoked
    # The run has reached turns, replies and many kinds of errors.
    assert {"input_audio_buffer.committed", "response.done", "session.updated"} <= set(tally.events)
    assert len(tally.errors) > 10


def test_deep_nesting() -> None:
    """A tree that is too deep to encode again is rejected when it is decoded."""

    async def scenario() -> set[str]:
        async with endpoint("?model=any") as client:
            for depth in range(900, 1_001):
                tree = "[" * depth + "]" * depth
                metadata = f'{{"type":"realtime","tracing":{{"metadata":{{"a":{tree}}}}}}}'
                await client.socket.send(f'{{"type":"session.update","session":{metadata}}}')
                await client.socket.send(f'{{"type":{tree}}}')
                await client.barrier()
            return {event["error"]["code"] for event in client.of("error")}

    assert run(scenario()) == {"invalid_value", "invalid_json"}


def test_too_many_values() -> None:
    """Each value is a Python object, so that a message within the size limit could take hundreds of MB."""

    async def scenario() -> str:
        async with endpoint() as client:
            await client.socket.send('{"type":"session.update","session":[' + "[]," * 200_000 + "[]]}")
            return str((await client.receive())["error"]["code"])

    assert run(scenario()) == "invalid_event"


def test_id_of_the_current_turn() -> None:
    """The client knows the id of the current turn's item, but cannot use it; the turn is committed."""

    async def scenario() -> tuple[str, str | None]:
        async with endpoint("?model=any") as client:
            await client.converse(input={"turn_detection": {"type": "server_vad", "silence_duration_ms": 5_000}})
            await client.append(recording("sense_0930"))
            begun = await client.until(STARTED)
            item = {"type": "message", "role": "user", "content": [], "id": begun["item_id"]}
            refused = await client.answer("conversation.item.create", item=item)
            await client.append(silence(6))
            return refused["error"]["code"], (await client.until(COMMITTED))["previous_item_id"]

    assert run(scenario()) == ("item_create_duplicate_item_id", None)


def test_a_custom_voice() -> None:
    """A custom voice is an object in sessions and a name in responses."""

    async def scenario() -> Any:
        async with endpoint("?model=any") as client:
            await client.send("response.create", response={"audio": {"output": {"voice": {"id": "mine"}}}})
            return (await client.until("response.done"))["response"]["audio"]["output"]["voice"]

    assert run(scenario()) == "mine"


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_hundred_thousand_frames() -> None:
    """The same with a separate process, whose memory stays constant after the start."""

    async def scenario(process: subprocess.Popen[bytes], url: str) -> tuple[Tally, list[float]]:
        fuzzer, memory = Fuzzer(url, seed=2), []
        async for sent in fuzzer.run(LONG):
            assert process.poll() is None
            memory.append(rss_mib(process.pid))
            if sent % 5_000 == 0:
                print(f"{sent} frames: {memory[-1]:.1f} MiB", flush=True)
        await good_client(url)
        return fuzzer.tally, memory

    async def all_of_it() -> tuple[Tally, list[float], subprocess.Popen[bytes]]:
        async with transcription_server(words) as recognizer:
            options = ("--port", "0", "--recognizer", f"http:{recognizer.url}")
            process = await asyncio.to_thread(start, "serve", *options, env=ONE_ARENA)
            assert process.stdout is not None
            url = (await asyncio.to_thread(process.stdout.readline)).decode().strip()
            try:
                return *await scenario(process, url), process
            finally:
                process.send_signal(signal.SIGTERM)

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    tally, memory, process = run(all_of_it(), 3_600)
    ran = ended(process)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    warm, later = memory[len(memory) // 10 : len(memory) // 2], memory[len(memory) // 2 :]
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(tally, f"CPU {cpu_s:.0f} s", f"RSS warm {max(warm):.1f} MiB, later {max(later):.1f} MiB", sep="\n")
    assert "bug" not in ran.err
    assert "Traceback" not in ran.err
    assert set(tally.closes) <= CLOSES
    assert not tally.unprovoked
    assert max(later) < max(warm) + 10


def rss_mib(pid: int) -> float:
    """Resident memory (Linux)."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20
