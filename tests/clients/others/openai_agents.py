"""OpenAI's agents package: a text turn and a spoken turn. Arguments: URL of the endpoint, a file of PCM at 24 kHz."""

import asyncio
import json
import sys
from pathlib import Path

from agents.realtime import RealtimeAgent, RealtimeRunner

DETECTION = {"type": "server_vad", "silence_duration_ms": 500}


async def main(url: str, pcm: bytes) -> None:
    """Run until the spoken turn has an answer."""
    runner = RealtimeRunner(
        RealtimeAgent(name="Echo", instructions="Be brief."), config={"model_settings": {"turn_detection": DETECTION}}
    )
    errors, words, audio, ends = [], "", 0, 0
    async with await runner.run(model_config={"api_key": "any", "url": url}) as session:
        await session.send_message("Hello there")
        async for event in session:
            kind = event.data.type if event.type == "raw_model_event" else event.type
            if kind == "audio" and event.type == "audio":
                audio += len(event.audio.data)
            elif kind in {"error", "exception"}:
                errors.append(str(event))
            elif kind == "input_audio_transcription_completed":
                words = event.data.transcript
            elif kind == "agent_end":
                ends += 1
                if ends == 1:
                    await session.send_audio(pcm)
            if ends == 2 and words:
                break
    print(json.dumps({"words": words, "audio_bytes": audio, "errors": errors}))


asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes()))
