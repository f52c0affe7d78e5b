"""Record a session and replay it, as programs: to ``rt``, and to the official Python client."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from openai import AsyncOpenAI

from rt_cli.protocol.recording_format import entries
from tests.exact import exact_endpoint, turns
from tests.fakes import run
from tests.program import DATA, DEADLINE_S, Ran, ended, needs_words, noise, rt, start, write_wav
from tests.servers import Client, polite, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "canary/5e9f1c7ab2d84+8f0e"
QUERY_KEY = "query-canary-1234"
TO = ("-m", "gpt-4o-transcribe", "--speed", "max")
SECOND = noise(24_000)


@contextmanager
def replayed(path: Path, *args: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run ``rt replay --serve --port 0``; yield its URL and its process."""
    with start("replay", "--serve", "--port", "0", *args, str(path)) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().strip(), process
        finally:
            process.kill()


def finals(ran: Ran) -> list[tuple[object, ...]]:
    """Return text and times of the finals."""
    return [(event["turn"], event["text"], event["start_ms"], event["end_ms"]) for event in ran.of("final")]


def kinds(path: Path) -> list[str]:
    """Return the types of a recording's lines."""
    return [entry.type for entry in entries(path.read_bytes().splitlines(keepends=True), "it")]


@pytest.mark.parametrize("speed", ["max", "4"])
@pytest.mark.parametrize("audio", [(), ("--record-audio",)])
def test_the_same_finals(tmp_path: Path, speed: str, audio: tuple[str, ...]) -> None:
    """The replay gives the same finals, with or without sound in the recording."""
    sound = write_wav(tmp_path / "sound.wav", turns(4)[0])
    to = (*TO, "--silence-ms", "200", "--prefix-ms", "0")
    with exact_endpoint() as url:
        first = rt("send", "--json", "--url", url, *to, "--record", str(tmp_path / "rec"), *audio, str(sound))
    assert first.exit == 0, first.err
    assert len(finals(first)) == 4
    with replayed(tmp_path / "rec", "--speed", speed) as (url, process):
        second = rt("send", "--json", "--url", url, *to, str(sound))
        ran = ended(process)
    assert second.exit == 0, second.err
    assert finals(second) == finals(first)
    assert (ran.exit, ran.err) == (0, "")
    pcm = base64.b64encode(turns(4)[0][:300]).decode()
    assert (pcm in (tmp_path / "rec").read_text()) == bool(audio)


@needs_words
def test_the_embedded_endpoint_again(tmp_path: Path) -> None:
    """A replay gives the words of the embedded endpoint."""
    speech = str(DATA / "sense_0930.wav")
    first = rt("send", "--json", "--local", "--record", str(tmp_path / "rec"), speech, seconds=60)
    assert first.exit == 0, first.err
    with replayed(tmp_path / "rec", "--speed", "max") as (url, process):
        second = rt("send", "--json", "--url", url, "--speed", "max", speech)
        ran = ended(process)
    assert finals(second) == finals(first) != []
    assert (ran.exit, ran.err) == (0, "")


def test_several_sources_and_a_lost_connection(tmp_path: Path) -> None:
    """One file holds all connections of a run, also a lost one and its successor."""
    clients: list[Client] = []

    async def cuts_once(client: Client) -> None:
        clients.append(client)
        if len(clients) == 1:
            await client.greet()
            await client.until("input_audio_buffer.append")
            client.cut()
        else:
            await polite("fine")(client)

    sounds = [str(write_wav(tmp_path / f"{name}.wav", SECOND)) for name in "ab"]
    with scripted(cuts_once) as server:
        first = rt("send", "--json", "--url", server.url, *TO, "--record", str(tmp_path / "rec"), *sounds)
    assert first.exit == 0, first.err
    assert kinds(tmp_path / "rec").count("open") == 3
    with replayed(tmp_path / "rec", "--speed", "max") as (url, process):
        second = rt("send", "--json", "--url", url, *TO, *sounds)
        ran = ended(process)
    assert finals(second) == finals(first)
    assert [summary["reconnects"] for summary in second.of("summary")] == [1, 0]
    assert (ran.exit, ran.err) == (0, "")


def test_the_official_client(tmp_path: Path) -> None:
    """The official client sends its own events and gets the transcripts that ``rt`` got."""
    sound = write_wav(tmp_path / "sound.wav", SECOND)
    with scripted(polite("fine words")) as server:
        assert rt("send", "--url", server.url, *TO, "--record", str(tmp_path / "rec"), str(sound)).exit == 0

    async def client(url: str) -> str:
        base = url.replace("ws://", "http://").removesuffix("/realtime")
        async with (
            AsyncOpenAI(api_key="any", base_url=base, max_retries=0) as openai,
            openai.realtime.connect(extra_query={"intent": "transcription"}) as connection,
        ):
            assert (await connection.recv()).type == "session.created"
            await connection.session.update(session={"type": "transcription", "audio": {"input": {}}})
            for _ in range(50):
                await connection.input_audio_buffer.append(audio=base64.b64encode(SECOND[:960]).decode())
            await connection.input_audio_buffer.commit()
            async for event in connection:
                if event.type == "conversation.item.input_audio_transcription.completed":
                    return event.transcript
        raise AssertionError("no transcript")

    with replayed(tmp_path / "rec", "--speed", "max") as (url, process):
        assert run(client(url)) == "fine words"
        ran = ended(process)
    assert (ran.exit, ran.err) == (0, "")


def test_another_client(tmp_path: Path) -> None:
    """A client that sends less sound is reported, and gives another exit code."""
    long, short = (write_wav(tmp_path / f"{seconds}.wav", SECOND * seconds) for seconds in (2, 1))
    with scripted(polite("fine")) as server:
        assert rt("send", "--url", server.url, *TO, "--record", str(tmp_path / "rec"), str(long)).exit == 0
    with replayed(tmp_path / "rec", "--speed", "max", "--patience", "3") as (url, process):
        again = rt("send", "--url", url, *TO, str(short))
        ran = ended(process)
    assert again.out == "fine\n"
    assert ran.exit == 7
    said = "warning: connection 1: missing: 48000 of 96000 bytes of sound; went on after 3 s without a word"
    assert ran.err.splitlines() == [said]


async def repeats_keys(client: Client) -> None:
    """An endpoint that repeats every key: in an event, in invalid JSON, in the close reason."""
    await client.greet()
    request = client.connection.request
    assert request is not None
    told = f"{request.headers['Authorization']} {request.path}"
    await client.say("odd", message=told, **{told: told})
    await client.connection.send(f"no JSON: {told}")
    await client.until("input_audio_buffer.commit")
    await client.complete(await client.commit(), "fine")
    await client.until("nothing")


@pytest.mark.parametrize("audio", [(), ("--record-audio",)])
def test_no_key_is_in_the_file(tmp_path: Path, audio: tuple[str, ...]) -> None:
    """No key of environment, query or header is in the recording."""
    sound = write_wav(tmp_path / "sound.wav", SECOND)
    path = tmp_path / "rec"
    env = {"RT_API_KEY": KEY, "OPENAI_API_KEY": "sk-other-canary-1234567890"}
    with scripted(repeats_keys) as server:
        given = ("--url", f"{server.url}/?api-key={QUERY_KEY}", "-H", "X-Team: header-canary", *TO)
        ran = rt("send", *given, "--record", str(path), *audio, str(sound), env=env)
        assert KEY in server.headers[0]["authorization"]
        assert server.headers[0]["x-team"] == "header-canary"
    assert ran.exit == 0, ran.err
    text = path.read_text()
    assert "canary" not in text
    assert "query-" not in text
    for each in (text, rt("replay", str(path)).out, rt("replay", "--all", str(path)).out):
        assert KEY not in each
        assert "no JSON" in each


def test_kill_9_leaves_a_valid_recording(tmp_path: Path) -> None:
    """After kill -9 the recording is complete up to the last line, and can be printed and replayed."""
    path = tmp_path / "rec"
    with scripted(polite("fine")) as server:
        given = ("stream", "-", "--url", server.url, "-m", "gpt-4o-transcribe", "--record", str(path))
        process = start(*given, stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(SECOND)
        process.stdin.flush()
        _until(path, "input_audio_buffer.append")
        process.kill()
        process.communicate(timeout=DEADLINE_S)
    found = kinds(path)
    assert found[:2] == ["recording", "open"]
    assert found.count("event") >= 4
    printed = rt("replay", str(path))
    assert printed.exit == 0
    assert re.search(r"> \d+ x input_audio_buffer.append", printed.out)


def _until(path: Path, text: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not path.exists() or text not in path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("{}/none",), "cannot read {}/none: No such file"),
        (("{}",), "cannot read {}: Is a directory"),
        (("{}/empty",), "{}/empty is no recording: it is empty"),
        (("{}/noise",), "{}/noise is no recording: line 1 is no JSON"),
        (("--serve", "{}/noise"), "{}/noise is no recording: line 1 is no JSON"),
        (("--serve", "{}/head"), "{}/head holds no connection"),
        (("--port", "1", "{}/head"), "--port without --serve"),
        (("--speed", "max", "{}/head"), "--speed without --serve"),
        (("--serve", "--all", "{}/head"), "--all is for printing"),
        (("--serve", "--speed", "fast", "{}/head"), "--speed must be"),
        (("--serve", "--patience", "0", "{}/head"), "--patience must be"),
        ((), "Missing argument"),
    ],
)
def test_mistakes(tmp_path: Path, args: tuple[str, ...], complaint: str) -> None:
    """One line, exit 2."""
    (tmp_path / "empty").touch()
    (tmp_path / "noise").write_bytes(bytes(range(256)))
    (tmp_path / "head").write_text('{"type":"recording","version":1,"audio":false}\n')
    ran = rt("replay", *(arg.replace("{}", str(tmp_path)) for arg in args))
    assert (ran.exit, ran.out) == (2, "")
    assert ran.err.startswith(f"rt: {complaint.replace('{}', str(tmp_path))}")
    assert ran.err.count("\n") == 1


def test_record_mistakes(tmp_path: Path) -> None:
    """An error before anything is sent; an existing file is kept."""
    sound = write_wav(tmp_path / "sound.wav", SECOND)
    whole = sound.read_bytes()
    for args, complaint in (
        (("--record-audio",), "--record-audio without --record"),
        (("--record", str(sound)), f"{sound} is a file of this run already"),
        (("--record", str(sound), "--force"), f"{sound} is a file of this run already"),
        (("--record", str(tmp_path / "no" / "rec")), f"cannot write {tmp_path / 'no' / 'rec'}: No such file"),
        (("--record", str(tmp_path / "x"), "--save-audio", str(tmp_path / "x")), f"{tmp_path / 'x'} is a file of"),
    ):
        ran = rt("send", "--url", "ws://127.0.0.1:9", *args, str(sound))
        assert (ran.exit, ran.out) == (2, "")
        assert ran.err.startswith(f"rt: {complaint}")
    assert sound.read_bytes() == whole


def test_signal_ends_the_replay(tmp_path: Path) -> None:
    """A signal before the end of the replay is an interruption."""
    path = tmp_path / "rec"
    lines = [{"type": "recording", "version": 1, "audio": False}, {"type": "open", "connection": 1, "ms": 0}]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with replayed(path) as (url, process):
        assert url.startswith("ws://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert ended(process).exit == 130


def test_timeline_with_closed_stdout(tmp_path: Path) -> None:
    """With ``| head -1`` the command ends without an error."""
    path = tmp_path / "rec"
    line = {"type": "ping", "connection": 1, "ms": 1, "direction": "out"}
    head = [{"type": "recording", "version": 1, "audio": False}, {"type": "open", "connection": 1, "ms": 0}]
    path.write_text("".join(f"{json.dumps(each)}\n" for each in [*head, *[line] * 20_000]))
    with start("replay", "--all", str(path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"recorded")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(DEADLINE_S) == 0
