"""The clients to compare ``rt`` with, each as a user would write it with that library.

``python tests/bench/peers.py CLIENT FILE URL CHUNK_MS [paced]`` sends a 24 kHz mono WAV, commits, and waits for the
final. All say the same on the wire: masked text frames, JSON, base64. ``raw`` is what the machine can do: bytes that
are ready, one ``sendall`` for each message.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sys
import time
import wave
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SESSION: dict[str, Any] = {
    "type": "transcription",
    "audio": {"input": {"turn_detection": {"type": "server_vad"}}},
}
DONE = "conversation.item.input_audio_transcription.completed"
APPEND = '{"type":"input_audio_buffer.append","audio":"'


async def chunks(path: str, chunk_ms: int, *, paced: bool) -> AsyncIterator[bytes]:
    """Yield the sound in chunks, with absolute deadlines if paced."""
    with wave.open(path, "rb") as file:
        due = time.monotonic()
        while pcm := file.readframes(file.getframerate() * chunk_ms // 1000):
            due += chunk_ms / 1000
            if paced:
                await asyncio.sleep(due - time.monotonic())
            yield pcm


async def send_openai(path: str, url: str, chunk_ms: int, *, paced: bool) -> None:
    """The official client."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key="none", websocket_base_url=url.removesuffix("/realtime"))
    async with client.realtime.connect(model="whisper-1") as connection:
        await connection.session.update(session=SESSION)  # type: ignore[arg-type] # a typed dict of theirs
        async for pcm in chunks(path, chunk_ms, paced=paced):
            await connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())
        await connection.input_audio_buffer.commit()
        async for event in connection:
            if event.type == DONE and event.transcript == "words":
                return


async def send_picows(path: str, url: str, chunk_ms: int, *, paced: bool) -> None:
    """The limit in Python: framing in C, a message template, fast base64."""
    import pybase64
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

    done = asyncio.get_running_loop().create_future()
    writable = asyncio.Event()
    writable.set()

    class Listener(WSListener):  # type: ignore[misc] # it has no types
        def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.TEXT:
                event = json.loads(frame.get_payload_as_bytes())
                if event["type"] == DONE and event["transcript"] == "words":
                    done.set_result(None)

        def pause_writing(self) -> None:
            writable.clear()

        def resume_writing(self) -> None:
            writable.set()

    transport, _ = await ws_connect(Listener, url)
    transport.send(WSMsgType.TEXT, json.dumps({"type": "session.update", "session": SESSION}).encode())
    head = APPEND.encode()
    async for pcm in chunks(path, chunk_ms, paced=paced):
        transport.send(WSMsgType.TEXT, b"".join((head, pybase64.b64encode(pcm), b'"}')))
        if not writable.is_set():
            await writable.wait()
    transport.send(WSMsgType.TEXT, b'{"type":"input_audio_buffer.commit"}')
    await done
    transport.send_close()
    await transport.wait_disconnected()


async def send_raw(path: str, url: str, chunk_ms: int, *, paced: bool) -> None:
    """No client: one frame, built once and sent once per chunk."""
    from websockets.frames import Frame, Opcode

    def frame(text: str) -> bytes:
        return Frame(Opcode.TEXT, text.encode()).serialize(mask=True, extensions=[])

    with wave.open(path, "rb") as file:
        samples = file.getframerate() * chunk_ms // 1000
        count = file.getnframes() // samples
        audio = base64.b64encode(file.readframes(samples)).decode()
    ready = frame(f'{APPEND}{audio}"}}')
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(
            f"GET {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        peer.recv(65_536)
        peer.sendall(frame(json.dumps({"type": "session.update", "session": SESSION})))
        due = time.monotonic()
        for _ in range(count):
            due += chunk_ms / 1000
            if paced:
                time.sleep(max(0, due - time.monotonic()))  # noqa: ASYNC251 - no other task here
            peer.sendall(ready)
        peer.sendall(frame('{"type":"input_audio_buffer.commit"}'))
        heard = b""
        while b'"transcript": "words"' not in heard:
            heard = heard[-100:] + peer.recv(65_536)


CLIENTS = {"openai": send_openai, "picows": send_picows, "raw": send_raw}

if __name__ == "__main__":
    asyncio.run(CLIENTS[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]), paced=sys.argv[5:] == ["paced"]))
