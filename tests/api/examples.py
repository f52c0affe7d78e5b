"""Programs that use the library; type-checked, and run by test_api.py against the embedded endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rt_cli

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def print_finals(path: str) -> list[str]:
    """A file, with asyncio."""
    words = []
    async for event in rt_cli.send(path):
        match event:
            case rt_cli.Final(turn=turn, text=text, start_ms=start_ms):
                words.append(f"{turn} {start_ms} {text}")
            case rt_cli.Dropped(start_ms=start_ms, end_ms=end_ms, reason=reason):
                words.append(f"lost {start_ms} to {end_ms}: {reason}")
    return words


def finals_of(path: str) -> tuple[list[str], int]:
    """A file, without asyncio; the summary accounts for each sample."""
    transcription = rt_cli.send(path)
    words = [event.text for event in transcription if isinstance(event, rt_cli.Final)]
    summary = transcription.summary
    assert summary is not None
    return words, summary.ledger.captured


async def stream_chunks(chunks: AsyncIterator[bytes], seconds: float) -> list[str]:
    """Live sound of another program, for a while, with settings of one's own."""
    settings = rt_cli.Settings(
        input=rt_cli.InputSettings(sample_rate=16_000, duration_s=seconds),
        session=rt_cli.SessionSettings(language="en", turn_detection="server_vad"),
    )
    client = rt_cli.Client(settings=settings, busy="fail")
    return [event.text async for event in client.stream(chunks) if isinstance(event, rt_cli.Final)]


def words_or_reason(path: str) -> str:
    """Errors are exceptions with a code, and a hint for people."""
    try:
        return " ".join(event.text for event in rt_cli.send(path) if isinstance(event, rt_cli.Final))
    except rt_cli.AudioError as error:
        return f"{error.code}: {error.message} ({error.hint})"
