"""An endpoint that floods: the memory stays, little is printed, Ctrl-C works."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.program import ended, peak_mib, start, write_wav
from tests.servers import Client, scripted

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")

ERROR = b'{"type": "error", "error": {"code": "odd", "message": "no"}}'
NUMBERED = '{{"type": "error", "error": {{"code": "odd", "message": "no {}"}}}}'
UNKNOWN = b'{"type": "an"}'
PARTIAL = '{{"type": "conversation.item.input_audio_transcription.delta", "item_id": "i", "delta": "{}"}}'


def frame(message: bytes) -> bytes:
    """A text frame of a server."""
    size = len(message)
    head = bytes([0x81, size]) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")
    return head + message


FLOODS = {
    "errors": frame(ERROR) * 500,
    "errors that all differ": b"".join(frame(NUMBERED.format(number).encode()) for number in range(5000)),
    "unknown events": frame(UNKNOWN) * 2000,
    "partials": frame(b'{"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "i"}')
    + frame(PARTIAL.format("word " * 20).encode()) * 100,
    "pings": b"\x89\x7d" + b"p" * 125,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_ctrl_c_in_a_flood(flood: bytes, tmp_path: Path) -> None:
    """For three seconds as fast as it goes, then Ctrl-C: the end within the usual time, in little memory."""
    began: list[float] = []

    async def floods(client: Client) -> None:
        await client.greet()
        await client.until("input_audio_buffer.append")
        began.append(time.monotonic())
        transport = client.connection.transport
        if flood.startswith(b"\x89"):
            transport.pause_reading()
        many = flood * max(1, 200_000 // len(flood))
        with suppress(ConnectionError):  # the client has ended
            while not transport.is_closing():
                transport.write(many)
                await client.connection.drain()

    sound = write_wav(tmp_path / "sound.wav", bytes(48_000 * 60))
    with scripted(floods) as server:
        process = start(
            *("send", "--url", server.url, "-m", "gpt-4o-transcribe", "--speed", "1", "--drain-timeout", "1"),
            *("--partials", "--json", str(sound)),
        )
        deadline = time.monotonic() + 20
        while not began and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(3)
        memory = peak_mib(process.pid)
        process.send_signal(signal.SIGINT)
        signalled = time.monotonic()
        ran = ended(process)
    took_s = time.monotonic() - signalled
    print(f"{memory:.0f} MiB, ended in {took_s:.1f} s, {len(ran.err.splitlines())} + {len(ran.out.splitlines())} lines")
    assert took_s < 8
    assert ran.summary["type"] == "summary"
    assert "Traceback" not in ran.err
    assert len(ran.err.splitlines()) < 40
    assert memory < 220, memory
