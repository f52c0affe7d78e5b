"""Keys and sound are in no output and in no log, at any level."""

from __future__ import annotations

import re
import struct
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from tests.program import Ran, rt, write_wav
from tests.servers import CERTIFICATE, Client, Server, answering, polite, scripted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "canary/5e9f1c7ab2d84+8f0e"
"""Not in the format of a key, so that masking by format cannot hide it."""
SOUND = struct.pack("<24000h", *(((at * 2531) % 8000) - 4000 for at in range(24_000)))
PIECES = [b64encode(SOUND[at : at + 6000]).decode()[4:28] for at in range(0, len(SOUND) - 6000, 6000)]
"""Pieces of base64; bytes from a multiple of three on have the same base64 in a longer text."""


async def echoes_secrets(client: Client) -> None:
    """An endpoint that repeats sound and key in events and in the close reason."""
    await client.greet()
    request = client.connection.request
    assert request is not None
    key = request.headers["Authorization"]
    append = await client.until("input_audio_buffer.append")
    await client.say("input_audio_buffer.appended", audio=append["audio"])
    await client.fail("odd", f"got {key}")
    await client.say("error", error={"message": key.removeprefix("Bearer ")})
    await client.until("input_audio_buffer.commit")
    await client.complete(await client.commit(), "fine")
    await client.until("nothing")


def send(server: Server, folder: Path, *more: str, env: dict[str, str] | None = None) -> tuple[Ran, str]:
    """Send recognisable sound and key with full logging; return all output, and the log."""
    log = folder / "rt.log"
    sound = write_wav(folder / "sound.wav", SOUND)
    ran = rt(
        *("send", "--url", server.url, "-m", "gpt-4o-transcribe", "--speed", "max", "--connect-timeout", "2"),
        *("-vv", "--partials", "--log-file", str(log), *more, str(sound)),
        env={"RT_API_KEY": KEY} if env is None else env,
    )
    return ran, log.read_text()


def assert_no_secret(text: str) -> None:
    """Assert that the text contains neither key nor sound."""
    assert KEY not in text
    assert b64encode(KEY.encode()).decode().rstrip("=")[:-2] not in text
    assert not [piece for piece in PIECES if piece in text]


@pytest.mark.parametrize("form", ["text", "json"])
def test_log_has_neither_key_nor_sound(form: str, tmp_path: Path) -> None:
    """The wire log of a whole session contains neither, although the endpoint repeats both."""
    with scripted(echoes_secrets) as server:
        ran, log = send(server, tmp_path, "-o", form)
    assert ran.exit == 0
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert SOUND in server.audio
    for text in ran.out, ran.err, log:
        assert_no_secret(text)


def test_log_shows_the_conversation(tmp_path: Path) -> None:
    """Both directions, with the size of the sound instead of the sound, on stderr and in the file."""
    with scripted(polite("fine")) as server:
        ran, log = send(server, tmp_path)
    for text in ran.err, log:
        assert re.search(r'> \{"type":"input_audio_buffer\.append","audio":"<\d+ B>"\}', text)
        assert re.search(r'< .*"session\.created"', text)
        assert "lane taken" in text


@pytest.mark.parametrize(
    "give",
    [
        pytest.param(lambda path: ("--api-key-file", path), id="file"),
        pytest.param(lambda path: ("--api-key-cmd", f"cat {path}"), id="command"),
    ],
)
def test_key_from_elsewhere_arrives(give: Callable[[str], tuple[str, str]], tmp_path: Path) -> None:
    """A key from a file or a command is sent without its line end, and is not printed."""
    (tmp_path / "key").write_text(f"  {KEY}\n")
    with scripted(polite("fine")) as server:
        ran, log = send(server, tmp_path, *give(str(tmp_path / "key")), env={})
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert_no_secret(ran.out + ran.err + log)


def test_refusal_that_repeats_the_key(tmp_path: Path) -> None:
    """An HTTP error body with the key is printed without the key."""
    with answering(401, f'{{"error":{{"message":"Incorrect API key provided: {KEY}","api_key":"{KEY}"}}}}') as server:
        ran, log = send(server, tmp_path)
    assert ran.exit == 4
    assert_no_secret(ran.out + ran.err + log)


def test_provider_keys_are_not_for_other_hosts(tmp_path: Path) -> None:
    """The providers' own variables are not used for other hosts."""
    env = {"OPENAI_API_KEY": KEY, "AZURE_OPENAI_API_KEY": KEY}
    with scripted(polite("fine")) as server:
        ran, log = send(server, tmp_path, env=env)
    assert ran.exit == 0
    assert KEY not in str(server.headers)
    assert_no_secret(ran.out + ran.err + log)


def test_own_certificate(tmp_path: Path) -> None:
    """A self-signed endpoint is reached over TLS with its certificate in ``--cacert``."""
    with scripted(polite("fine"), secure=True) as server:
        ran, _ = send(server, tmp_path, "--cacert", str(CERTIFICATE))
    assert (ran.exit, ran.out) == (0, "fine\n"), ran.err


def test_traceback_of_debugging_shows_no_key(tmp_path: Path) -> None:
    """The traceback of ``RT_DEBUG=1`` contains no values."""
    with answering(401) as server:
        ran, log = send(server, tmp_path, env={"RT_API_KEY": KEY, "RT_DEBUG": "1"})
    assert_no_secret(ran.out + ran.err + log)
