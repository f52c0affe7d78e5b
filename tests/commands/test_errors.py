"""Every failure of a run: exit code, one line on stderr, last line of NDJSON."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.program import Ran, assert_accounted, ended, rt, start, write_wav
from tests.servers import (
    Client,
    Script,
    Server,
    answering,
    blurting,
    cannot_transcribe,
    never_answers,
    never_creates,
    never_transcribes,
    never_updates,
    nobody,
    polite,
    says_then_closes,
    scripted,
    silent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

CANARY = "sk-canary-5e9f1c7ab2d84"
SOUND = struct.pack("<12000h", *(((at * 2531) % 8000) - 4000 for at in range(12_000)))
"""Half a second of a recognisable pattern."""

FAKE_SOUNDDEVICE = b"""
class PortAudioError(Exception):
    pass

class default:
    device = (-1, -1)

def query_hostapis():
    return [{"name": "ALSA"}]

def query_devices():
    names = ["Blue Yeti", "Blue Snowball"]
    return [
        {"index": at, "name": name, "hostapi": 0, "max_input_channels": 1, "default_samplerate": 48000.0}
        for at, name in enumerate(names)
    ]
"""
NO_PORTAUDIO = b'raise OSError("PortAudio library not found")\n'

Peer: TypeAlias = "Callable[[], AbstractContextManager[Server]]"


@dataclass(frozen=True)
class Row:
    """One failure. In texts, ``{url}`` is the peer's and ``{dir}`` a folder with ``sound.wav`` and ``files``."""

    id: str
    command: str
    exit: int
    says: str
    """Regular expression for the line on stderr."""
    peer: Peer = nobody
    files: dict[str, bytes] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    stdin: bytes | None = None
    summarised: bool | None = None
    """Whether a summary is expected; None: exactly if it is no usage error."""


def _script(script: Script, *, secure: bool = False) -> Peer:
    return lambda: scripted(script, secure=secure)


def _status(status: int, body: str = "", **headers: str) -> Peer:
    return lambda: answering(status, body, **headers)


@contextmanager
def _plain_endpoint() -> Iterator[Server]:
    """A ws endpoint, used with a wss URL."""
    with scripted(polite("never said")) as server:
        server.secure = True
        yield server


async def _rejects_the_configuration(client: Client) -> None:
    await client.say("session.created", session={"id": "sess_1"})
    update = await client.until("session.update")
    await client.fail(
        "invalid_value",
        "Invalid value: 'klingon'.",
        param="session.audio.input.transcription.language",
        event_id=update["event_id"],
    )
    await client.until("nothing")


async def _says_too_much(client: Client) -> None:
    await client.connection.send("x" * (33 << 20))
    await client.until("nothing")


async def _speaks_no_json(client: Client) -> None:
    await client.connection.send("hello, I am a chat server")
    await client.until("nothing")


async def _fails_in_colour(client: Client) -> None:
    await client.fail("invalid_api_key", f"\x1b[31mIncorrect\x1b[0m key\r\nprovided: {CANARY}\x07")
    await client.close(3000, "invalid_request_error")


async def _out_of_quota(client: Client) -> None:
    await client.greet()
    await client.until("input_audio_buffer.commit")
    await client.say(
        "conversation.item.input_audio_transcription.failed",
        item_id=await client.commit(),
        content_index=0,
        error={"type": "insufficient_quota", "code": "insufficient_quota", "message": "You exceeded your quota."},
    )
    await client.until("nothing")


AUDIO = "send --url ws://127.0.0.1:9 "
SEND = "send --url {url} -m gpt-4o-transcribe --speed max --connect-timeout 0.8 --drain-timeout 1 {dir}/sound.wav "
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\xc0\x5d\x00\x00\x80\xbb\x00\x00\x02\x00\x10\x00"

SOURCES = [
    Row("missing file", AUDIO + "{dir}/no.wav", 3, r"no\.wav: no such file"),
    Row("another scheme", AUDIO + "ftp://host.test/x.mp3", 3, "no such file: only http and https are fetched"),
    Row("directory without sound", AUDIO + "{dir}/empty", 3, "director", files={"empty/notes.txt": b"x"}),
    Row("empty file", AUDIO + "{dir}/e.wav", 3, r"e\.wav: .*empty", files={"e.wav": b""}),
    Row("text named wav", AUDIO + "{dir}/t.wav", 3, r"t\.wav: ", files={"t.wav": b"Dear all,\nhello there.\n" * 9}),
    Row("truncated header", AUDIO + "{dir}/h.wav", 3, r"h\.wav: ", files={"h.wav": WAV[:20]}),
    Row("corrupt header", AUDIO + "{dir}/c.wav", 3, r"c\.wav: ", files={"c.wav": WAV[:20] + b"\xff" * 40}),
    Row("no samples", AUDIO + "{dir}/z.wav", 3, r"z\.wav: .*no ", files={"z.wav": WAV + b"data\0\0\0\0"}),
    Row("stdin ends at once", "send --url {url} -", 3, "no audio on stdin", _script(polite("")), stdin=b""),
    Row("live stdin ends at once", "stream --url {url} -", 3, "no audio on stdin", _script(polite("")), stdin=b""),
    Row(
        "damaged WAV on stdin",
        "send --url {url} -",
        3,
        "WAV header",
        _script(polite("")),
        stdin=WAV[:20] + b"\xff" * 40,
    ),
    Row("no PortAudio", "stream --mic --url {url}", 3, "PortAudio", files={"sounddevice.py": NO_PORTAUDIO}),
    Row(
        "unknown device",
        "stream --mic -d nosuch --url {url}",
        3,
        'no input device is called "nosuch": there is 0 "ALSA:Blue Yeti"',
        files={"sounddevice.py": FAKE_SOUNDDEVICE},
    ),
    Row(
        "no default device",
        "stream --mic --url {url}",
        3,
        "no default microphone",
        files={"sounddevice.py": FAKE_SOUNDDEVICE},
    ),
    Row(
        "ambiguous device",
        "stream --mic -d blue --url {url}",
        2,
        '"blue" may be 0 "ALSA:Blue Yeti", 1 "ALSA:Blue Snowball"',
        files={"sounddevice.py": FAKE_SOUNDDEVICE},
        summarised=True,
    ),
]

USAGE = [
    Row("no such command", "sned x.wav", 2, "sned"),
    Row("no such option", "send --loud x.wav", 2, "--loud.*see rt send --help"),
    Row("number of an option", "serve --port 99999", 2, "see rt serve --help"),
    Row("no file", "send --local", 2, "nothing to send: give files"),
    Row("nothing to stream", "stream --local", 2, "rt stream --mic"),
    Row("a file to stream", "stream x.wav", 2, r"rt send x\.wav"),
    Row("scheme", "send --url ftp://host x.wav", 2, "ftp"),
    Row("no scheme", "send --url example.com x.wav", 2, "scheme"),
    Row("no host", "send --url https:// x.wav", 2, "host"),
    Row("port", "send --url ws://localhost:99999 x.wav", 2, "port"),
    Row("empty URL", "send --url= x.wav", 2, "url"),
    Row("json and text", "send -o text --json x.wav", 2, "--json"),
    Row("two keys", "send --url https://h --api-key-file a --api-key-cmd b x.wav", 2, "key file and a key command"),
    Row("no key file", "send --url https://h --api-key-file {dir}/no.key x.wav", 2, r"key file .*no\.key"),
    Row("key over ws", "send --url ws://example.invalid x.wav", 2, "unencrypted", env={"RT_API_KEY": CANARY}),
    Row("key in a ws URL", "send --url ws://example.invalid?key=" + CANARY + " x.wav", 2, "unencrypted"),
    Row("bad number", "send --speed fast x.wav", 2, "--speed"),
    Row("out of range", "send --chunk-ms 5 x.wav", 2, "--chunk-ms.*10 to 1000"),
    Row("bad choice", "send --turn-detection magic x.wav", 2, "--turn-detection"),
    Row("bad encoding", "stream - --encoding s12le", 2, "s12le"),
    Row("bad --set", "send --set novalue x.wav", 2, "--set"),
    Row("bad variable", "send x.wav", 2, "RT_SPEED", env={"RT_SPEED": "fast"}),
    Row("unwritable log", SEND + "--log-file {dir}/no/log", 2, "cannot write the log file"),
    Row("no CA file", SEND.replace("{url}", "wss://127.0.0.1:9") + "--cacert {dir}/no.pem", 2, r"no\.pem"),
    Row("no config file", "send --config {dir}/no.toml x.wav", 2, r"no\.toml"),
    Row(
        "config syntax",
        "send --config {dir}/c.toml x.wav",
        2,
        r"c\.toml:2: ",
        files={"c.toml": b"[delivery]\nspeed = = 2\n"},
    ),
    Row(
        "config key",
        "send --config {dir}/c.toml x.wav",
        2,
        r"c\.toml:3: .*sped.*did you mean speed",
        files={"c.toml": b"# mine\n[delivery]\nsped = 2\n"},
    ),
    Row(
        "config value",
        "send --config {dir}/c.toml x.wav",
        2,
        r"c\.toml:2: .*speed is 'fast'",
        files={"c.toml": b"[delivery]\nspeed = 'fast'\n"},
    ),
    Row(
        "unknown profile",
        "send --config {dir}/c.toml -p wrok x.wav",
        2,
        "unknown profile 'wrok': did you mean work",
        files={"c.toml": b"[profiles.work]\nurl = 'https://h'\n"},
    ),
]

OPENING = [
    Row("refused connection", SEND, 5, "nothing listens at 127.0.0.1:"),
    Row("no such host", SEND.replace("{url}", "wss://nosuchhost.invalid"), 5, "no such host"),
    Row("self-signed", SEND, 5, "certificate .*--cacert", _script(polite("never said"), secure=True)),
    Row("no TLS there", SEND, 5, "no TLS", _plain_endpoint),
    Row("silence", SEND, 5, r"no answer .* within 0\.8 s", silent),
    Row("SSH", SEND, 6, "does not speak WebSocket", lambda: blurting(b"SSH-2.0-OpenSSH_9.2\r\n")),
    Row("nothing but a hang-up", SEND, 5, "it hung up", lambda: blurting(b"")),
    Row("401", SEND, 4, "HTTP 401.*check the key", _status(401)),
    Row("403", SEND, 4, "HTTP 403", _status(403)),
    Row("404", SEND, 6, r"HTTP 404: is the path of the URL right\?", _status(404)),
    Row("429", SEND, 5, "HTTP 429.*try again later", _status(429, Retry_After="30")),
    Row("429 quota", SEND, 4, "quota", _status(429, '{"error":{"code":"insufficient_quota"}}')),
    Row("503", SEND, 5, "HTTP 503.*try again later", _status(503, "down \x1b[31mfor\x1b[0m a while")),
    Row(
        "redirect",
        SEND,
        6,
        r"HTTP 302 \(it redirects to wss://elsewhere\.invalid/\)",
        _status(302, Location="wss://elsewhere.invalid/"),
    ),
    Row("503 with a large body", SEND, 5, "HTTP 503", _status(503, "x" * 3_000_000)),
    Row(
        "waits that no calendar has",
        SEND,
        5,
        "HTTP 503.*try again later",
        _status(503, Retry_After="Mon, 01 Jan 99999 00:00:00 GMT"),
    ),
    Row(
        "headers that repeat",
        SEND,
        5,
        "HTTP 503.*try again later",
        lambda: blurting(b"HTTP/1.1 503 x\r\nRetry-After: 1\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n"),
    ),
    Row(
        "redirects that repeat",
        SEND,
        6,
        "it redirects to /a",
        lambda: blurting(b"HTTP/1.1 302 x\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"),
    ),
    Row("a web page", SEND, 6, "HTTP 200", _status(200, "<html>hello</html>")),
]

CONVERSATION = [
    Row("bad key", SEND, 4, "check the key", _script(says_then_closes("invalid_api_key", 3000, "no"))),
    Row("bad model", SEND, 6, "check the model", _script(says_then_closes("invalid_model", 4000, "no"))),
    Row("closed with 3000", SEND, 4, "3000", _script(says_then_closes(None, 3000, "unauthorized"))),
    Row(
        "no such model, then 1011",
        SEND,
        6,
        "Model whisper-9 not found: check the model",
        _script(says_then_closes("NotFoundError", 1011, "", "Model whisper-9 not found")),
    ),
    Row(
        "no such model, in the reason",
        SEND,
        6,
        "check the model",
        _script(says_then_closes(None, 1011, "model not found: whisper-9")),
    ),
    Row(
        "a turn that is too long",
        SEND,
        6,
        "60 s without a commit.*--max-turn",
        _script(says_then_closes(None, 1009, "buffered audio exceeds 60 s without a commit")),
    ),
    Row(
        "a message above the limit", SEND.replace("0.8", "10"), 6, "above the limit of 32 MiB", _script(_says_too_much)
    ),
    Row("closed with 1011", SEND, 5, "1011", _script(says_then_closes(None, 1011, "internal error"))),
    Row("colours in an error", SEND, 4, "Incorrect key provided", _script(_fails_in_colour)),
    Row("rejected configuration", SEND, 6, "klingon.*transcription.language", _script(_rejects_the_configuration)),
    Row("no session.created", SEND, 6, r"no session\.created within 0\.8 s", _script(never_creates)),
    Row("no session.updated", SEND, 7, "not transcribed", _script(never_updates)),
    Row("no JSON", SEND, 6, r"no session\.created", _script(_speaks_no_json)),
    Row("no final", SEND, 7, "not transcribed", _script(never_transcribes)),
    Row("no answer to a commit", SEND, 7, "not transcribed", _script(never_answers)),
    Row("failed transcription", SEND, 7, "not transcribed", _script(cannot_transcribe)),
    Row("quota at the end", SEND, 4, "exceeded your quota", _script(_out_of_quota)),
]


def _run_twice(row: Row, folder: Path, url: str) -> tuple[Ran, Ran]:
    """Run plain and with ``--json``, at the same time."""
    command = row.command.format(url=url, dir=folder).split()
    env = {"PYTHONPATH": str(folder), **row.env}
    stdin = subprocess.DEVNULL if row.stdin is None else subprocess.PIPE
    processes = [start(*command, *more, stdin=stdin, env=env) for more in ((), ("--json",))]
    plain, json = [ended(process, stdin=row.stdin, seconds=15) for process in processes]
    return plain, json


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in SOURCES + USAGE + OPENING + CONVERSATION])
def test_failure(row: Row, tmp_path: Path) -> None:
    """Exit code, one ``rt:`` line with cause and fix, and a summary with the same exit code."""
    write_wav(tmp_path / "sound.wav", SOUND)
    for name, content in row.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with row.peer() as server:
        plain, json = _run_twice(row, tmp_path, server.url)
    for ran in plain, json:
        assert ran.exit == row.exit, ran.err
        assert len(ran.causes) == 1, ran.err
        assert re.search(row.says, ran.causes[0]), ran.causes[0]
        assert "Traceback" not in ran.err
        assert "Warning" not in ran.err
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", ran.out + ran.err)
        assert CANARY not in ran.out + ran.err
    assert plain.out == ""
    if row.summarised or (row.summarised is None and row.exit != 2):
        assert [event["exit"] for event in json.of("summary")] == [row.exit]
        assert json.summary["type"] == "summary"
        (error,) = json.of("error")
        assert error["message"] in json.causes[0] or error["code"] == "incomplete"
        assert_accounted(json.summary)
    else:
        assert json.out == ""


def test_unreadable_file(tmp_path: Path) -> None:
    """A file without read permission."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = write_wav(tmp_path / "mine.wav", SOUND)
    path.chmod(0)
    ran = rt("send", "--url", "ws://127.0.0.1:9", str(path))
    assert (ran.exit, len(ran.causes)) == (3, 1)


def test_named_pipe_is_no_file(tmp_path: Path) -> None:
    """A FIFO without a writer does not block the run."""
    os.mkfifo(tmp_path / "fifo.wav")
    ran = rt("send", "--url", "ws://127.0.0.1:9", str(tmp_path / "fifo.wav"), seconds=10)
    assert (ran.exit, len(ran.causes)) == (3, 1)
    assert "fifo.wav" in ran.causes[0]


def test_connection_is_reset(tmp_path: Path) -> None:
    """A connection that is reset again and again is a lost connection, with a balanced ledger."""

    async def cuts(client: Client) -> None:
        await client.greet()
        await client.until("input_audio_buffer.append")
        client.cut()

    with scripted(cuts) as server:
        ran = rt(*_send(server, tmp_path), "--json", seconds=30)
    assert ran.exit == 5
    assert len(ran.causes) == 1
    assert_accounted(ran.summary)
    assert ran.summary["ledger"]["settled"] == 0


def _send(server: Server, folder: Path) -> tuple[str, ...]:
    write_wav(folder / "sound.wav", SOUND)
    return tuple(SEND.format(url=server.url, dir=folder).split())
