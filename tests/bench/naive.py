"""A client in twenty lines: a WAV over ``websockets``, with ``json`` and ``base64``.

``python tests/bench/naive.py FILE URL CHUNK_MS [paced]``. No window, no account, no turns: the
measure of what ``rt`` adds.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
import wave

from websockets.asyncio.client import connect


async def send(path: str, url: str, chunk_ms: int, *, paced: bool) -> None:
    """Send it as fast as it goes, or in real time by absolute deadlines; commit, wait for the answer."""
    with wave.open(path, "rb") as file:
        async with connect(url, compression=None) as websocket:
            session = {"type": "transcription", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
            await websocket.send(json.dumps({"type": "session.update", "session": session}))
            due = time.monotonic()
            while pcm := file.readframes(file.getframerate() * chunk_ms // 1000):
                due += chunk_ms / 1000
                if paced:
                    await asyncio.sleep(due - time.monotonic())
                audio = base64.b64encode(pcm).decode()
                await websocket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            await websocket.send(json.dumps({"type": "input_audio_buffer.commit", "event_id": "last"}))
            async for message in websocket:
                event = json.loads(message)
                if event["type"] == "conversation.item.input_audio_transcription.completed":
                    if event["transcript"] == "words":
                        break
                elif event["type"] == "error":
                    break


if __name__ == "__main__":
    asyncio.run(send(sys.argv[1], sys.argv[2], int(sys.argv[3]), paced=sys.argv[4:] == ["paced"]))
