"""Azure's package for Voice Live. Arguments: URL of the endpoint, a file of PCM at 24 kHz, a session object as JSON."""

import asyncio
import base64
import json
import sys
from pathlib import Path

from azure.ai.voicelive import models
from azure.ai.voicelive.aio import connect
from azure.core.credentials import AzureKeyCredential

FRAME_BYTES = 4_800
TURNS = 2


def unknown(given: dict, model: type) -> set[str]:
    """Return the fields that the package does not know."""
    return set(given) - set(model(given)._attr_to_rest_field)  # noqa: SLF001 - nothing public says it


async def main(url: str, pcm: bytes, session: dict) -> None:
    """Ask for the session, speak, and collect the words of two turns; each event has to be of a known type."""
    errors = [
        *unknown(session, models.RequestSession),
        *unknown(session["input_audio_transcription"], models.AudioInputTranscriptionOptions),
        *unknown(session["turn_detection"], models.ServerVad),
    ]
    words: list[str] = []
    kinds: list[str] = []
    credential = AzureKeyCredential("any")
    async with connect(
        endpoint=url.replace("ws", "http", 1), credential=credential, model="gpt-realtime"
    ) as session_of:
        await session_of.session.update(session=models.RequestSession(session))
        for start in range(0, len(pcm), FRAME_BYTES):
            piece = pcm[start : start + FRAME_BYTES]
            await session_of.input_audio_buffer.append(audio=base64.b64encode(piece).decode())
        async for event in session_of:
            kinds.append(event.type)
            if type(event) is models.ServerEvent or isinstance(event, models.ServerEventError):
                errors.append(str(event))
            if event.type == models.ServerEventType.CONVERSATION_ITEM_INPUT_AUDIO_TRANSCRIPTION_COMPLETED:
                words.append(event.transcript)
            if len(words) == TURNS:
                break
    print(json.dumps({"words": words, "kinds": kinds, "errors": errors}))


asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes(), json.loads(sys.argv[3])))
