"""Words whose reader is gone: each is a line on stderr, counted apart, and stays in the spool."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

import pytest

from tests.program import ended, rt, start
from tests.servers import Client, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.program import Ran
    from tests.servers import Server

CHUNK = bytes(4_800)
OPTIONS = ("-m", "gpt-4o-transcribe", "--drain-timeout", "5", "--status", "plain")


async def speaks_to_the_end(client: Client) -> None:
    """Tell of speech that only our commit ends."""
    await client.greet()
    await client.until("input_audio_buffer.append")
    await client.say("input_audio_buffer.speech_started", item_id="item_1", audio_start_ms=0)
    await client.until("input_audio_buffer.commit")
    await client.say("input_audio_buffer.committed", item_id="item_1")
    await client.complete("item_1", "the last words")
    await client.until("never")


async def talks_on(client: Client) -> None:
    """Say one text after the other."""
    await client.greet()
    for number in itertools.count():
        await client.complete(await client.commit(), f"text {number}")
        await client.until("input_audio_buffer.append")


@contextmanager
def streaming(server: Server, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A live run that is fed with silence."""
    with start("stream", "--url", server.url, *OPTIONS, *options, "-", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        feeder = threading.Thread(target=_feed, args=(process, process.stdin))
        feeder.start()
        try:
            yield process
        finally:
            process.kill()
            feeder.join(10)


def _feed(process: subprocess.Popen[bytes], pipe: IO[bytes]) -> None:
    with suppress(BrokenPipeError), pipe:
        while process.poll() is None:
            pipe.write(CHUNK)
            pipe.flush()
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)


def _end_of(process: subprocess.Popen[bytes]) -> Ran:
    """Wait for the end of a run whose stdout is closed already."""
    process.stdin = process.stdout = None
    return ended(process, seconds=20)


@pytest.mark.parametrize("form", ["text", "json", "srt"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_reader_dies_with_the_same_ctrl_c(form: str, number: int) -> None:
    """``rt stream - | tee``, Ctrl-C: what was heard after that is said, counted, and is exit 7."""
    with scripted(speaks_to_the_end) as server, streaming(server, "-o", form) as process:
        server.wait_for("input_audio_buffer.append", 2)
        assert process.stdout is not None
        process.stdout.close()
        process.send_signal(number)
        ran = _end_of(process)
    assert ran.exit == 7, ran.err
    assert "warning: turn 1 could not be written to stdout: the last words\n" in ran.err
    assert "incomplete: -: 1 of 1 turn unwritten" in ran.err
    assert ran.causes == ["rt: 1 final could not be written to stdout: the words are above"]


def test_a_reader_that_leaves_by_itself() -> None:
    """``| head -1``: exit 0, and the words behind the first line are said."""
    with scripted(talks_on) as server, streaming(server) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"text 0\n"
        process.stdout.close()
        ran = _end_of(process)
    assert (ran.exit, ran.causes) == (0, []), ran.err
    said = [line for line in ran.err.splitlines() if "could not be written" in line]
    assert said[0] == "warning: turn 2 could not be written to stdout: text 1"
    assert f", {len(said)} unwritten" in ran.err


def test_quiet_silences_it() -> None:
    """``-q``."""
    with scripted(talks_on) as server, streaming(server, "-q") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"text 0\n"
        process.stdout.close()
        ran = _end_of(process)
    assert (ran.exit, ran.err) == (0, "")


def test_it_stays_in_the_spool(tmp_path: Path) -> None:
    """A later run prints it, marked as resumed."""
    spool = tmp_path / "spool"
    with scripted(speaks_to_the_end) as server:
        with streaming(server, "--spool", str(spool)) as process:
            server.wait_for("input_audio_buffer.append", 2)
            assert process.stdout is not None
            process.stdout.close()
            process.send_signal(signal.SIGINT)
            assert _end_of(process).exit == 7
        ran = rt("send", "--url", server.url, *OPTIONS, "--json", "--resume", str(spool))
    finals = [line for line in map(json.loads, ran.out.splitlines()) if line["type"] == "final"]
    assert (finals[0]["text"], finals[0]["resumed"]) == ("the last words", True)
    assert not spool.exists()
