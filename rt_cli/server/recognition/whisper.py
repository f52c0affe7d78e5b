"""Recognition by faster-whisper, item by item: words come after the end of a turn."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rt_cli.audio.format import pcm16_to_float
from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable
from rt_cli.server.recognition.batch import Batch, Speech
from rt_cli.server.recognition.model_threads import ModelThreads, default_workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    import numpy as np
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import Segment
    from numpy.typing import NDArray

    from rt_cli.server.recognition.interface import Hints

_RATE_HZ = 16_000


@asynccontextmanager
async def open_whisper(model: str, workers: int | None = None) -> AsyncIterator[Batch]:
    """Open Whisper in threads of this process.

    Args:
        model: A directory with a CTranslate2 model, or a name for faster-whisper (``base``, ``OWNER/MODEL``).
            faster-whisper downloads a named model if it is not on this machine.
        workers: Items transcribed at once.

    Raises:
        UsageError: The directory contains no model, or the name is unknown.
    """
    workers = workers or default_workers()
    await asyncio.to_thread(check_model, model)
    threads: ModelThreads[WhisperModel] = ModelThreads(lambda: _load(model, workers), workers)
    async with threads.warm():
        notice = f"words by faster-whisper ({printable(Path(model).name)}), at the end of each turn"
        languages = frozenset({"en"}) if model.endswith(".en") else None
        yield Batch(_Whisper(threads), notice=notice, languages=languages, slots=workers)


def check_model(model: str) -> None:
    """Raise UsageError if the model cannot exist. Downloads and loads nothing; may block for a moment."""
    from faster_whisper import available_models

    if Path(model).is_dir():
        if not (Path(model) / "model.bin").is_file():
            raise UsageError(
                f"{printable(model)} has no model.bin", "give the directory of a CTranslate2 Whisper model"
            )
    elif model not in available_models() and (model.count("/") != 1 or model.startswith((".", "/", "~"))):
        known = ", ".join(available_models())
        raise UsageError(
            f"there is no Whisper model {printable(model)!r}", f"give a directory, OWNER/MODEL, or: {known}"
        )


def _load(model: str, workers: int) -> WhisperModel:
    from faster_whisper import WhisperModel

    return WhisperModel(model, cpu_threads=max(1, (os.cpu_count() or 1) // workers), num_workers=workers)


class _Whisper:
    def __init__(self, threads: ModelThreads[WhisperModel]) -> None:
        self._threads = threads

    async def transcribe(self, speech: Speech, hints: Hints, on_partial: Callable[[str], None]) -> str:
        model = await self._threads.model()
        segments = await self._threads.run(_begin, model, speech, hints)
        text = ""
        # Each call decodes a window of at most 30 s: a cancelled item occupies its thread no longer than that.
        while (segment := await self._threads.run(_next, segments)) is not None:
            text += printable(segment.text)
            on_partial(text.strip())
        return text.strip()


def _begin(model: WhisperModel, speech: Speech, hints: Hints) -> Iterator[Segment]:
    language = hints.language.split("-")[0].lower() if hints.language else None
    # No vad_filter: the turn comes from a detector; a second detector would only cut words off.
    options: dict[str, Any] = {"language": language, "initial_prompt": hints.prompt, "vad_filter": False}
    segments, _ = model.transcribe(_samples(speech), condition_on_previous_text=False, **options)
    return iter(segments)


def _next(segments: Iterator[Segment]) -> Segment | None:
    return next(segments, None)


def _samples(speech: Speech) -> NDArray[np.float32]:
    import soxr

    samples = pcm16_to_float(speech.pcm)
    resampled: NDArray[np.float32] = soxr.resample(samples, speech.rate_hz, _RATE_HZ)
    return resampled
