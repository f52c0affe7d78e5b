"""LiveKit's transcription by xAI. Arguments: URL of the endpoint, a file of PCM at 16 kHz, silence that ends a turn."""

import asyncio
import json
import logging
import sys
from pathlib import Path

import aiohttp
from livekit import rtc
from livekit.plugins.xai import stt

FRAME_BYTES = 3_200
TURNS = 2


class Errors(logging.Handler):
    """Collects what the plugin complains of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note a line."""
        self.lines.append(record.getMessage())


async def main(url: str, pcm: bytes, silence_ms: int) -> None:
    """Speak two turns and collect their words."""
    stt.XAI_WEBSOCKET_URL = f"{url}/v1/stt"
    errors = Errors()
    stt.logger.addHandler(errors)
    words: list[str] = []
    kinds: list[str] = []
    async with aiohttp.ClientSession() as http:
        recognizer = stt.STT(api_key="any", endpointing=silence_ms, http_session=http)
        stream = recognizer.stream()
        for start in range(0, len(pcm), FRAME_BYTES):
            piece = pcm[start : start + FRAME_BYTES]
            stream.push_frame(rtc.AudioFrame(piece, 16_000, 1, len(piece) // 2))
        stream.end_input()
        async for event in stream:
            kinds.append(event.type.value)
            if event.type.value == "final_transcript":
                words.append(event.alternatives[0].text)
            if kinds.count("end_of_speech") == TURNS:
                break
        await stream.aclose()
    print(json.dumps({"words": words, "kinds": kinds, "errors": errors.lines}))


asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes(), int(sys.argv[3])))
