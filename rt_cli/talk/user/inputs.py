"""The sound of a conversation, opened: files as turns, stdin, the microphone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.errors import AudioError
from rt_cli.run.sources import file_source
from rt_cli.talk.user.loudness import speech_end
from rt_cli.talk.user.script import Utterance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.audio.source import Warn
    from rt_cli.settings import InputSettings

LONGEST_S = 30 * 60
"""All turns of a script together: they are in memory."""


async def read_utterances(names: Sequence[str], settings: InputSettings, rate_hz: int, warn: Warn) -> list[Utterance]:
    """Read sound files, each a turn. Safe to cancel.

    Raises:
        AudioError: A file cannot be read or has no sound, or all are longer than half an hour.
    """
    utterances: list[Utterance] = []
    left = LONGEST_S * rate_hz * BYTES_PER_SAMPLE
    for name in names:
        pcm = bytearray()
        source = await file_source(name, settings).open(rate_hz, warn)
        try:
            async for block in source.blocks():
                pcm += bytes(block.lost * BYTES_PER_SAMPLE) + block.pcm
                if len(pcm) > left:
                    raise AudioError(
                        f"the turns of the script are longer than {LONGEST_S // 60} minutes",
                        "pipe the sound in: rt talk -",
                        code="too_long",
                    )
        finally:
            await source.aclose()
        if not pcm:
            raise AudioError(f"no audio in {name}", "check the file", code="empty")
        left -= len(pcm)
        sound = bytes(pcm)
        utterances.append(Utterance(name, sound, speech_end(sound, rate_hz)))
    return utterances
