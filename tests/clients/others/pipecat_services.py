"""Pipecat's two services for OpenAI's realtime API. Arguments: URL, a file of PCM at 24 kHz, and ``stt`` or ``llm``."""

import asyncio
import json
import sys
from pathlib import Path

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    LLMFullResponseEndFrame,
    LLMRunFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.services.openai.stt import OpenAIRealtimeSTTService

FRAME_BYTES = 4_800
DETECTION = {"type": "server_vad", "silence_duration_ms": 500}


class Sink(FrameProcessor):
    """Collects the output frames."""

    def __init__(self) -> None:
        super().__init__()
        self.words = ""
        self.audio = 0
        self.errors: list[str] = []
        self.progress = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Store a frame and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self.words += frame.text
        elif isinstance(frame, TTSAudioRawFrame):
            self.audio += len(frame.audio)
        elif isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
        if isinstance(frame, TranscriptionFrame | LLMFullResponseEndFrame):
            self.progress.set()
        await self.push_frame(frame, direction)


async def main(url: str, pcm: bytes, kind: str) -> None:
    """Transcribe a turn, or answer a text turn and then a spoken one."""
    sink = Sink()
    if kind == "stt":
        parts = [OpenAIRealtimeSTTService(api_key="any", base_url=url, turn_detection=DETECTION), sink]
    else:
        pair = LLMContextAggregatorPair(LLMContext([{"role": "user", "content": "Say hello"}]))
        parts = [pair.user(), OpenAIRealtimeLLMService(api_key="any", base_url=url), sink, pair.assistant()]
    params = PipelineParams(audio_in_sample_rate=24_000, audio_out_sample_rate=24_000)
    task = PipelineTask(Pipeline(parts), params=params)
    running = asyncio.create_task(PipelineRunner(handle_sigint=False).run(task))
    if kind == "llm":
        await task.queue_frame(LLMRunFrame())
        await sink.progress.wait()
        sink.progress.clear()
    for start in range(0, len(pcm), FRAME_BYTES):
        piece = pcm[start : start + FRAME_BYTES]
        await task.queue_frame(InputAudioRawFrame(audio=piece, sample_rate=24_000, num_channels=1))
    await sink.progress.wait()
    audio = None if kind == "stt" else sink.audio
    print(json.dumps({"words": sink.words or None, "audio_bytes": audio, "errors": sink.errors}))
    await task.cancel()
    await running


asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes(), sys.argv[3]))
