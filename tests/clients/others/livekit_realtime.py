"""LiveKit's agents with OpenAI's realtime model. Arguments: URL of the endpoint, a file of PCM at 24 kHz."""

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
from livekit import rtc
from livekit.plugins import openai
from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

FRAME_BYTES = 4_800
DETECTION = ServerVad(type="server_vad", silence_duration_ms=500, create_response=True, interrupt_response=True)


async def main(url: str, pcm: bytes) -> None:
    """Speak a turn and wait for the answer."""
    words: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    begun: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    errors: list[str] = []
    async with aiohttp.ClientSession() as http:
        base = url.replace("ws", "http", 1).removesuffix("/realtime")
        model = openai.realtime.RealtimeModel(base_url=base, api_key="any", http_session=http, turn_detection=DETECTION)
        session = model.session()
        session.on("error", lambda event: errors.append(str(event)))
        session.on("generation_created", begun.set_result)
        session.on(
            "input_audio_transcription_completed",
            lambda event: words.set_result(event.transcript) if event.is_final else None,
        )
        for start in range(0, len(pcm), FRAME_BYTES):
            piece = pcm[start : start + FRAME_BYTES]
            session.push_audio(rtc.AudioFrame(piece, 24_000, 1, len(piece) // 2))
        audio = 0
        async for message in (await begun).message_stream:
            async for frame in message.audio_stream:
                audio += 2 * frame.samples_per_channel
        print(json.dumps({"words": await words, "audio_bytes": audio, "errors": errors}))
        await session.aclose()
        await model.aclose()


asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes()))
