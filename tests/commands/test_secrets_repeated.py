"""An endpoint that repeats the secrets of the run in whatever it says: no output, log or recording has them."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.program import Ran, rt, write_wav
from tests.servers import Client, Server, answering, blurting, scripted

if TYPE_CHECKING:
    from pathlib import Path

KEY = "canary/5e9f1c7ab2d84+8f0e"
QUERY = "query&4c1d/77aa0be2"
HEADER = "header~91bd3f0e77"
PASSWORD = "pass:word/83ae01cc"
SECRETS = (KEY, QUERY, HEADER, PASSWORD)
SOUND = struct.pack("<12000h", *(((at * 2531) % 8000) - 4000 for at in range(12_000)))


def forms(secret: str) -> list[str]:
    """How a server may write a secret, and how any reader would still read it."""
    return [secret, quote(secret, safe=""), secret.replace("/", "\\/"), secret.replace("/", "\\u002f")]


def send(server: Server, folder: Path, *more: str, password: bool = False) -> tuple[Ran, dict[str, str]]:
    """Run with every secret and every log. Return the run, and the text of each output."""
    log, recording, saved = folder / "rt.log", folder / "rt.rec", folder / "words.jsonl"
    user = f"me:{quote(PASSWORD, safe='')}@" if password else ""
    url = f"{server.url.replace('://', f'://{user}')}?token={quote(QUERY, safe='')}"
    ran = rt(
        *("send", "--url", url, "-m", "gpt-4o-transcribe", "--speed", "max", "--connect-timeout", "2"),
        *("-H", f"X-Extra: {HEADER}", "-vv", "--partials", "--log-file", str(log), "--record", str(recording)),
        *("--save-transcript", str(saved), "--drain-timeout", "1", "--retry-for", "1", *more),
        str(write_wav(folder / "sound.wav", SOUND)),
        env={"RT_DEBUG": "1"} | ({} if password else {"RT_API_KEY": KEY}),
    )
    texts = {"stdout": ran.out, "stderr": ran.err}
    return ran, texts | {path.name: path.read_text() for path in (log, recording, saved) if path.exists()}


def assert_no_secret(texts: dict[str, str]) -> None:
    """Assert that no text has a secret, in any form that its reader would understand."""
    for name, text in texts.items():
        for secret in SECRETS:
            for form in forms(secret):
                assert form not in text, (name, text[max(0, text.find(form) - 200) :][:400])


@pytest.mark.parametrize("password", [False, True], ids=["key", "password"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_every_field_of_a_session(form: str, password: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    """Ids, event types, transcripts, every field of errors, the close reason: in each spelling."""
    secrets = (QUERY, HEADER, PASSWORD if password else KEY)
    spellings = [spelling for secret in secrets for spelling in forms(secret)]

    async def repeats(client: Client) -> None:
        async def say(text: str) -> None:
            await client.connection.send(text)

        both = " ".join(spellings)
        await say(f'{{"type": "session.created", "session": {{"id": "{both}"}}}}')
        await client.until("session.update")
        await say(f'{{"type": "session.updated", "event_id": "{both}", "session": {{"id": "{both}"}}}}')
        await client.until("input_audio_buffer.append")
        for spelling in spellings:
            await say(f'{{"type": "{spelling}"}}')
            await say(f'{{"type": "odd", "{spelling}": ["{spelling}"]}}')
            for field in ("code", "type", "message", "param", "event_id"):
                await say(f'{{"type": "error", "error": {{"message": "x", "{field}": "got {spelling}"}}}}')
            await say(f'{{"type": "error", "error": "{spelling}"}}')
            await say(f"no JSON {spelling}")
            await client.connection.send(f"binary {spelling}".encode())
        await say('{"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "i"}')
        prefix = "conversation.item.input_audio_transcription"
        await say(f'{{"type": "{prefix}.delta", "item_id": "i", "delta": "said {both}"}}')
        await say('{"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 400, "item_id": "i"}')
        await say('{"type": "input_audio_buffer.committed", "item_id": "i"}')
        await say(
            f'{{"type": "{prefix}.completed", "item_id": "i", "transcript": "said {both}", "language": "{both}"}}'
        )
        await client.close(4000, f"{secrets[-1]} twice {secrets[-1]} {secrets[0]}"[:120])

    with scripted(repeats) as server:
        ran, texts = send(server, tmp_path, "-o", form, password=password)
    assert "said ***" in ran.out, ran.err
    assert set(texts) == {"stdout", "stderr", "rt.log", "rt.rec", "words.jsonl"}
    assert_no_secret(texts)
    for line in texts["rt.rec"].splitlines():
        json.loads(line)


ACCEPT = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n"
ANSWERS = {
    "accept": ACCEPT,
    "upgrade": "HTTP/1.1 101 Switching\r\nUpgrade: {}\r\nConnection: Upgrade\r\n\r\n",
    "reason phrase": "HTTP/1.1 401 {}\r\nContent-Length: 0\r\n\r\n",
    "body": "HTTP/1.1 401 No\r\n\r\ngot {} and {}",
    "long body": "HTTP/1.1 401 No\r\n\r\n" + "x" * 1990 + " {}",
    "longer than what is shown": "HTTP/1.1 401 No\r\n\r\n" + "x" * 288 + " {}",
    "location": "HTTP/1.1 302 Found\r\nLocation: wss://h.test/?x={}\r\nContent-Length: 0\r\n\r\n",
    "headers": "HTTP/1.1 403 No\r\nX-{}: {}\r\nWWW-Authenticate: {}\r\nRetry-After: {}\r\nContent-Length: 0\r\n\r\n",
    "no status": "HTTP/1.1 {} No\r\n\r\n",
    "no HTTP": "{}\r\n\r\n",
    "body of a 503": "HTTP/1.1 503 No\r\nContent-Length: 99\r\n\r\n{}",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_every_part_of_a_handshake(answer: str, tmp_path: Path) -> None:
    """Status, reason phrase, headers and body."""
    for index, secret in enumerate((KEY, QUERY, HEADER)):
        folder = tmp_path / str(index)
        folder.mkdir()
        with blurting(answer.replace("{}", secret).encode()) as server:
            ran, texts = send(server, folder)
        assert ran.exit in {4, 5, 6}, ran.err
        assert "Traceback" not in ran.err
        assert_no_secret(texts)
        assert KEY[:12] not in "".join(texts.values())


def test_start_of_a_key_at_the_end_of_a_close_reason(tmp_path: Path) -> None:
    """A server cuts its reason at 123 bytes, within the key."""

    async def cuts(client: Client) -> None:
        await client.close(4000, f"{'you are not allowed to do this with any key like this, not here ' * 2}{KEY}"[:123])

    async def cuts_short(client: Client) -> None:
        await client.close(4000, f"not with {KEY}"[:25])

    for number, script in enumerate((cuts, cuts_short)):
        (tmp_path / str(number)).mkdir()
        with scripted(script) as server:
            _, texts = send(server, tmp_path / str(number))
        assert KEY[:9] not in "".join(texts.values())


def test_doctor_repeats_nothing(tmp_path: Path) -> None:
    """Neither its text nor its NDJSON."""
    (tmp_path / "c.toml").write_text("")
    said = f"Incorrect key: {KEY} {QUERY} {HEADER}"

    async def complains(client: Client) -> None:
        await client.say("session.created", session={"id": "sess_1"})
        await client.until("session.update")
        await client.fail("invalid_value", said, param=said)
        await client.until("nothing")

    for peer in (answering(401, said), scripted(complains)):
        with peer as server:
            url = f"{server.url}?token={quote(QUERY, safe='')}"
            for more in ((), ("--json",)):
                ran = rt(
                    *("doctor", "--config", str(tmp_path / "c.toml"), "--url", url, "-H", f"X-Extra: {HEADER}", *more),
                    env={"RT_API_KEY": KEY, "RT_DEBUG": "1"},
                )
                assert "Incorrect key: ***" in ran.out, ran.out
                assert_no_secret({"stdout": ran.out, "stderr": ran.err})


def test_traceback_of_a_bug_has_no_secret(tmp_path: Path) -> None:
    """The value of an exception may hold anything; ``RT_DEBUG`` prints it with the secrets masked."""
    bug = "import rt_cli.protocol.openai.decode as events\n"
    bug += "def decode(*message):\n    raise KeyError('got ' + KEY)\nevents.decode = decode\n"
    (tmp_path / "sitecustomize.py").write_text(f"KEY = {KEY!r}\n{bug}")

    async def greets(client: Client) -> None:
        await client.greet()

    with scripted(greets) as server:
        ran = rt(
            *("send", "--url", server.url, str(write_wav(tmp_path / "sound.wav", SOUND))),
            env={"RT_API_KEY": KEY, "RT_DEBUG": "1", "PYTHONPATH": str(tmp_path)},
        )
    assert ran.exit == 1
    assert "Traceback" in ran.err
    assert "KeyError" in ran.err
    assert_no_secret({"stdout": ran.out, "stderr": ran.err})
