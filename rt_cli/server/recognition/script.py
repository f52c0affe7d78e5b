"""Recogniser that reads the words of turns from a file: known words, to test clients without recognition."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable
from rt_cli.server.recognition.interface import NO_HINTS
from rt_cli.server.recognition.null import NullTranscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from rt_cli.server.recognition.interface import Hints, Recognizer, RecognizerSession, Transcription

MAX_BYTES = 1_048_576
NOTICE = "no recognition: the words of the turns are the lines of a file"


@asynccontextmanager
async def open_script(file: str, workers: int | None = None) -> AsyncIterator[Recognizer]:  # noqa: ARG001 - interface
    """Open a recogniser that hears line N of a file in turn N of each session; beyond the last line, an empty text.

    Args:
        file: Path of a UTF-8 text file of at most 1 MiB.
        workers: Not used.

    Raises:
        UsageError: The file cannot be read.
    """
    yield ScriptedRecognizer(await asyncio.to_thread(_read_lines, Path(file)))


def _read_lines(path: Path) -> list[str]:
    name = printable(str(path))
    try:
        if not path.is_file():  # a pipe would block
            raise UsageError(f"{name} is no file with the words of turns", "--recognizer script:FILE reads one")
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{name} is larger than 1 MiB", "--recognizer script:FILE takes a line for each turn")
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8 text", "--recognizer script:FILE takes a line for each turn") from None
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise UsageError(f"cannot read {name}: {reason}", "--recognizer script:FILE reads it") from None


class ScriptedRecognizer:
    """A recogniser with known words.

    Args:
        lines: The words of the turns of each session, in order.
    """

    notice = NOTICE
    languages: frozenset[str] | None = None

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    @asynccontextmanager
    async def session(self) -> AsyncIterator[RecognizerSession]:
        """Open a session, which begins with the first line."""
        yield _Session(self._lines)


class _Session:
    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = itertools.chain(lines, itertools.repeat(""))

    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:  # noqa: ARG002 - interface
        return NullTranscription(next(self._lines).strip())
