"""Words of turns from a file."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from rt_cli.errors import UsageError
from rt_cli.server.recognition.registry import open_recognizer
from rt_cli.server.replies.registry import open_replier
from rt_cli.server.server import serve
from tests.fakes import run
from tests.server.client import COMPLETED, TRANSCRIBE, Client, recording, session, silence

if TYPE_CHECKING:
    from pathlib import Path

SPEECH = silence(0.5) + recording("sense_0930") + silence(0.8)
VAD = {"type": "server_vad", "silence_duration_ms": 300}


def test_each_turn_of_a_session_is_a_line(tmp_path: Path) -> None:
    """In order, from the first line in every session; beyond the last line, turns have no words."""
    (tmp_path / "words.txt").write_text(" Good day. \n\nžluťoučký kůň\r\n", encoding="utf-8")

    async def heard(client: Client, turns: int) -> list[str]:
        for _ in range(turns):
            await client.append(SPEECH)
        while len(client.of(COMPLETED)) < turns:
            await client.until(COMPLETED)
        return [event["transcript"] for event in client.of(COMPLETED)]

    async def scenario() -> list[list[str]]:
        async with serve(recognizer=f"script:{tmp_path / 'words.txt'}") as server:
            texts = []
            for turns in (1, 4):
                async with session(server.url) as client:
                    await client.configure(transcription=TRANSCRIBE, turn_detection=VAD)
                    texts.append(await heard(client, turns))
            return texts

    assert run(scenario()) == [["Good day."], ["Good day.", "", "žluťoučký kůň", ""]]


def test_a_spoken_turn_calls_a_tool(tmp_path: Path) -> None:
    """The whole way of a spoken tool call, with known words: sound, turn, call with arguments."""
    (tmp_path / "words.txt").write_text("Tell me the weather, city Prague.", encoding="utf-8")
    tool = {"type": "function", "name": "weather", "parameters": {"properties": {"city": {"type": "string"}}}}

    async def scenario() -> tuple[str, str]:
        async with (
            open_replier("counted") as replier,
            serve(recognizer=f"script:{tmp_path / 'words.txt'}", replier=replier) as server,
            session(server.url, "") as client,
        ):
            await client.converse(input={"turn_detection": VAD}, tools=[tool])
            await client.append(SPEECH)
            done = await client.until("response.function_call_arguments.done")
            return done["name"], done["arguments"]

    assert run(scenario()) == ("weather", '{"city": "Prague"}')


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "is no file"), (b"\xff\xfe", "is not UTF-8 text"), (b"a" * 1_048_577, "larger than 1 MiB")],
)
def test_no_script(tmp_path: Path, content: bytes | None, said: str) -> None:
    """One line that names the file and the option."""
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=said) as refused:
        run(opened(path))
    assert "words.txt" in str(refused.value)
    assert "script:FILE" in (refused.value.hint or "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_a_pipe_is_no_script(tmp_path: Path) -> None:
    """A named pipe would never end."""
    os.mkfifo(tmp_path / "words")
    with pytest.raises(UsageError, match="is no file"):
        run(opened(tmp_path / "words"))


async def opened(path: Path) -> None:
    """Open the recogniser and close it."""
    async with open_recognizer(f"script:{path}"):
        pass
