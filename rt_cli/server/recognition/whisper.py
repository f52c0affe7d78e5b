"""Recognition by faster-whisper: drafts while one speaks, and the text of the whole turn at its end."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rt_cli.audio.format import pcm16_to_float
from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable
from rt_cli.server.recognition.base.batch import Batch, Segment, Speech
from rt_cli.server.recognition.base.model_threads import ModelThreads, default_workers
from rt_cli.server.recognition.model_places import model_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    import numpy as np
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import Segment as Decoded
    from numpy.typing import NDArray

    from rt_cli.server.recognition.interface import Hints

_RATE_HZ = 16_000
_NO_SPEECH = 0.6
"""A draft leaves out segments that are silence with this probability."""


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
        name = model_name(model)
        languages = frozenset({"en"}) if name.endswith(".en") else None
        engine = _Whisper(threads)
        notice = f"words by faster-whisper ({printable(name)}), provisional ones while you speak"
        yield Batch(engine, notice=notice, languages=languages, slots=workers, draft=engine.draft)


def check_model(model: str) -> None:
    """Raise UsageError if the model cannot exist. Downloads and loads nothing; may block for a moment."""
    # Also for a directory: the import holds up the event loop, which should be before anything goes on there.
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
    import ctranslate2
    from faster_whisper import WhisperModel

    ctranslate2.set_log_level(logging.ERROR)  # it warns on stderr of each model in a format that the processor lacks
    return WhisperModel(model, cpu_threads=max(1, (os.cpu_count() or 1) // workers), num_workers=workers)


class _Whisper:
    def __init__(self, threads: ModelThreads[WhisperModel]) -> None:
        self._threads = threads

    async def transcribe(self, speech: Speech, hints: Hints, on_partial: Callable[[str], None]) -> str:
        text = ""
        async for segment in self._segments(speech, hints):
            text += printable(segment.text)
            on_partial(text.strip())
        return text.strip()

    async def draft(self, speech: Speech, hints: Hints) -> list[Segment]:
        """Read quickly: the likeliest word each time, and no second try."""
        segments = self._segments(speech, hints, beam_size=1, temperature=0.0)
        return [Segment(printable(each.text), each.end) async for each in segments if each.no_speech_prob < _NO_SPEECH]

    async def _segments(self, speech: Speech, hints: Hints, **options: Any) -> AsyncIterator[Decoded]:
        model = await self._threads.model()
        segments = await self._threads.run(_begin, model, speech, hints, options)
        # Each call decodes a window of at most 30 s: a cancelled item occupies its thread no longer than that.
        while (segment := await self._threads.run(_next, segments)) is not None:
            yield segment


def _begin(model: WhisperModel, speech: Speech, hints: Hints, options: dict[str, Any]) -> Iterator[Decoded]:
    language = hints.language.split("-")[0].lower() if hints.language else None
    # No vad_filter: the turn comes from a detector; a second detector would only cut words off.
    options = {"language": language, "initial_prompt": hints.prompt, "vad_filter": False, **options}
    segments, _ = model.transcribe(_samples(speech), condition_on_previous_text=False, **options)
    return iter(segments)


def _next(segments: Iterator[Decoded]) -> Decoded | None:
    return next(segments, None)


def _samples(speech: Speech) -> NDArray[np.float32]:
    import soxr

    samples = pcm16_to_float(speech.pcm)
    resampled: NDArray[np.float32] = soxr.resample(samples, speech.rate_hz, _RATE_HZ)
    return resampled
