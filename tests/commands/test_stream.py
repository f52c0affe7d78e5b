"""``rt stream -`` as a program: a live source is always read, and its end ends the run."""

from __future__ import annotations

import asyncio
import io
import struct
import subprocess
import threading
import wave
from typing import TYPE_CHECKING, Any

import pytest

from tests.program import DATA, Ran, assert_accounted, bytes_taken, ended, needs_words, rt, served, start
from tests.servers import Client, Server, polite, scripted, silent, stops_reading

if TYPE_CHECKING:
    from pathlib import Path

MODEL = ("-m", "gpt-4o-transcribe")
TONE = struct.pack("<24000h", *(((at * 2531) % 8000) - 4000 for at in range(24_000)))
"""A second at 24 kHz."""


def stream(server: Server, *args: str, stdin: bytes, **options: Any) -> Ran:
    """Run ``rt stream --json -`` to its end."""
    return rt("stream", "--url", server.url, "--json", *MODEL, *args, "-", stdin=stdin, **options)


def wav_of_unknown_length(pcm: bytes) -> bytes:
    """Return a WAV like that of a program that cannot seek back to its header."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 24_000, 0, "NONE", ""))
        writer.writeframes(pcm)
    header, sound = file.getvalue()[:44], file.getvalue()[44:]
    return header[:4] + b"\xff\xff\xff\xff" + header[8:40] + b"\xff\xff\xff\xff" + sound


@pytest.mark.parametrize(
    ("args", "stdin"),
    [
        pytest.param((), TONE, id="raw"),
        pytest.param((), wav_of_unknown_length(TONE), id="WAV of unknown length"),
        pytest.param(
            ("--channels", "2"), b"".join(TONE[at : at + 2] * 2 for at in range(0, len(TONE), 2)), id="stereo"
        ),
        pytest.param(
            ("--encoding", "s32le"),
            b"".join(b"\0\0" + TONE[at : at + 2] for at in range(0, len(TONE), 2)),
            id="s32le",
        ),
        pytest.param(("--encoding", "S16_LE"), TONE, id="in ALSA's spelling"),
    ],
)
def test_every_sample_arrives(args: tuple[str, ...], stdin: bytes) -> None:
    """Every sample arrives unchanged, in any encoding."""
    with scripted(polite("hello")) as server:
        ran = stream(server, *args, stdin=stdin)
    assert ran.exit == 0, ran.err
    assert server.audio == TONE
    assert ran.summary["ledger"]["settled"] == 24_000
    assert [final["text"] for final in ran.of("final")] == ["hello"]


def test_short_sound_is_padded() -> None:
    """Sound below the endpoint's minimum is padded with silence, which the ledger counts separately."""
    with scripted(polite("hello")) as server:
        ran = stream(server, stdin=TONE[:480])
    assert ran.exit == 0, ran.err
    assert server.audio == TONE[:480] + bytes(4800 - 480)
    assert ran.summary["ledger"]["captured"] == ran.summary["ledger"]["settled"] == 240
    assert ran.summary["ledger"]["padding"] == 2400 - 240


def test_duration() -> None:
    """``--duration`` ends a source without an end: the writer is still there."""
    with scripted(polite("hello")) as server:
        command = ("stream", "--url", server.url, "--json", *MODEL, "--duration", "0.5", "-")
        with start(*command, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            process.stdin.write(TONE)
            process.stdin.flush()
            process.wait(10)
            ran = ended(process)
    assert ran.exit == 0, ran.err
    assert ran.summary["ledger"]["captured"] == 12_000
    assert server.audio == TONE[:24_000]


@pytest.mark.parametrize("stalled", [pytest.param(lambda: scripted(stops_reading), id="reads no more"), silent])
def test_producer_never_waits(stalled: Any) -> None:
    """A live pipe is read while the endpoint takes nothing, for minutes of sound."""
    with stalled() as server:
        taken = bytes_taken("stream", "--url", server.url, *MODEL, "-", at_most=10_000_000)
    assert taken >= 10_000_000


def test_sound_before_the_endpoint_is_ready() -> None:
    """Sound during the connection setup is delivered from its first sample on."""
    written = threading.Event()

    async def slow(client: Client) -> None:
        await asyncio.to_thread(written.wait, 10)
        await polite("hello")(client)

    with scripted(slow) as server:
        process = start("stream", "--url", server.url, "--json", *MODEL, "-", stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(TONE)
        process.stdin.flush()
        written.set()
        ran = ended(process)
    assert ran.exit == 0, ran.err
    assert server.audio == TONE


@needs_words
def test_words_from_a_pipe(tmp_path: Path) -> None:
    """A recording on stdin, to the embedded endpoint, at the pace of the pipe."""
    with wave.open(str(DATA / "sense_0930.wav"), "rb") as file:
        pcm = file.readframes(file.getnframes())
    with served("--save-audio", str(tmp_path)) as (url, _):
        options = ("--url", url, "--json", "--drain-timeout", "60", "--sample-rate", "16000")
        ran = rt("stream", *options, "-", stdin=pcm, seconds=60)
    assert ran.exit == 0, ran.err
    assert "might even have been" in ran.of("final")[0]["text"]
    assert_accounted(ran.summary)
