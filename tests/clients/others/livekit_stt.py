"""LiveKit's transcription by OpenAI's realtime API. Arguments: URL of the endpoint, a file of PCM at 24 kHz."""

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
from livekit import rtc
from livekit.agents import stt
from livekit.plugins import openai

FRAME_BYTES = 4_800


async def main(url: str, pcm: bytes) -> None:
    """Speak a turn and wait for its words."""
    async with aiohttp.ClientSession() as http:
        base = url.replace("ws", "http", 1).removesuffix("/realtime")
        recognizer = openai.STT(base_url=base, api_key="any", use_realtime=True, model="gpt-4o-transcribe")
        recognizer._ensure_session = lambda: http  # noqa: SLF001 - else LiveKit uses the session of its job
        stream = recognizer.stream()
        for start in range(0, len(pcm), FRAME_BYTES):
            piece = pcm[start : start + FRAME_BYTES]
            stream.push_frame(rtc.AudioFrame(piece, 24_000, 1, len(piece) // 2))
        async for event in stream:
            if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                print(json.dumps({"words": event.alternatives[0].text, "audio_bytes": None, "errors": []}))
                break
        await stream.aclose()


asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes()))
