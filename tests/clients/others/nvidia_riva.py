"""NVIDIA's own client: ``nvidia_riva.py SERVER FILE``, where the file is raw PCM at 16 kHz.

The session that it fetches by HTTP before it connects is the default one here: ``rt`` fetches none.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from riva.client.realtime import RealtimeClientASR

CHUNK = 3_200
DEFAULTS: dict[str, Any] = {
    "object": "realtime.transcription_session",
    "modalities": ["text"],
    "input_audio_format": "pcm16",
    "input_audio_transcription": {"language": "en-US", "model": "conformer", "prompt": ""},
    "input_audio_params": {"sample_rate_hz": 16_000, "num_channels": 1},
    "recognition_config": {"max_alternatives": 1, "enable_word_time_offsets": False},
    "client_secret": None,
}


class Client(RealtimeClientASR):
    """Keeps every result, not only the last one."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.words: list[str] = []
        super().__init__(args)

    async def _initialize_http_session(self) -> dict[str, Any]:
        return DEFAULTS

    @property
    def final_transcript(self) -> str:
        """The last result."""
        return self.words[-1] if self.words else ""

    @final_transcript.setter
    def final_transcript(self, text: str) -> None:
        if text:
            self.words.append(text)


async def main(server: str, pcm: bytes) -> None:
    """Send the sound, and print the words."""
    args = argparse.Namespace(
        server=server,
        endpoint="/v1/realtime",
        query_params="intent=transcription",
        use_ssl=False,
        mic=False,
        word_time_offsets=True,
        sample_rate_hz=16_000,
        num_channels=1,
        **dict.fromkeys(("start_history", "stop_history", "stop_history_eou"), -1),
        **dict.fromkeys(("start_threshold", "stop_threshold", "stop_threshold_eou"), -1.0),
    )
    client = Client(args)
    await client.connect()
    chunks = [pcm[at : at + CHUNK] for at in range(0, len(pcm), CHUNK)]
    await asyncio.gather(client.send_audio_chunks(chunks), client.receive_responses())
    await client.websocket.close()
    sys.stdout.write(f"\n{json.dumps({'words': client.words})}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes()))
