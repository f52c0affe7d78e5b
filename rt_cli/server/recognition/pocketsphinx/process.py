"""The server's side of one decoder process."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from rt_cli.server.recognition.pocketsphinx import worker as wire

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER_S = 20.0
"""Deadline of an answer, including the time to load the model."""
_MAX_FRAME = 16 * 1_048_576
"""Most bytes of a frame of the process: the words of an utterance with their times."""
_LOG = logging.getLogger("rt.local")


class DecoderProcess:
    """A decoder process with at most one unanswered question. Create with :meth:`start`.

    Args:
        process: Runs the worker; this object owns its stdin and stdout.
        on_answer: Receives kind and payload of each answer, READY first. May raise ValueError, RecursionError or
            MsgspecError for a wrong payload: the process is then killed.
        on_end: Called once when the process has ended, with the reason for people; must not raise.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        on_answer: Callable[[bytes, bytes], None],
        on_end: Callable[[str], None],
    ) -> None:
        assert process.stdin is not None  # noqa: S101 - start() opens the pipe; narrows the type
        assert process.stdout is not None  # noqa: S101 - same
        self._process = process
        self._questions = process.stdin
        self._answers = process.stdout
        self._on_answer = on_answer
        self._on_end = on_end
        self._reason = "the recogniser's process ended"
        self._deadline: asyncio.TimerHandle | None = None
        self._start_deadline()
        self.reader = asyncio.create_task(self._read_answers(), name=f"recogniser {process.pid}")
        """Reads the answers until the process ends; never raises."""

    @classmethod
    async def start(cls, on_answer: Callable[[bytes, bytes], None], on_end: Callable[[str], None]) -> DecoderProcess:
        """Start a process; the process loads its model afterwards. Cancellation leaves no process behind.

        Raises:
            OSError: The process cannot be started.
        """
        # -P: import no modules from the working directory. New session: the terminal's Ctrl-C must not reach it.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(Path(wire.__file__))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        return cls(process, on_answer, on_end)

    def begin(self, rate_hz: int, voice: dict[str, Any] | None) -> None:
        """Start an utterance; its audio follows with :meth:`ask`."""
        self._write(wire.BEGIN, json.dumps({"rate_hz": rate_hz, "voice": voice}).encode())

    def ask(self, kind: bytes, payload: bytes = b"") -> None:
        """Send a question. The process is killed if it does not answer within :data:`ANSWER_S`."""
        self._write(kind, payload)
        self._start_deadline()

    def kill(self) -> None:
        """Kill the process; it has no state to save."""
        with suppress(ProcessLookupError):  # it has already ended
            self._process.kill()

    def _write(self, kind: bytes, payload: bytes) -> None:
        # No drain(): there is one question at a time, with at most 200 ms of audio.
        if not self._questions.is_closing():
            self._questions.write(wire.frame(kind, payload))

    def _start_deadline(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(ANSWER_S, self._on_timeout)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_timeout(self) -> None:
        self._reason = f"the recogniser did not answer for {ANSWER_S:.0f} s"
        self.kill()

    async def _read_answers(self) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):  # the process has ended
                while True:
                    self._on_frame(*await self._read_frame())
        except (ValueError, RecursionError, msgspec.MsgspecError):
            self._reason = "the recogniser's process sent what nobody understands"
            self.kill()
        finally:
            self._cancel_deadline()
            self._questions.close()
            self._on_end(self._reason)
            await self._process.wait()

    async def _read_frame(self) -> tuple[bytes, bytes]:
        kind, length = wire.HEADER.unpack(await self._answers.readexactly(wire.HEADER.size))
        if length > _MAX_FRAME:
            raise ValueError(length)
        return kind, await self._answers.readexactly(length)

    def _on_frame(self, kind: bytes, payload: bytes) -> None:
        if kind == wire.BROKEN:
            self._reason = payload.decode(errors="replace")
            _LOG.warning("recogniser failed: %s", self._reason)
            return
        self._cancel_deadline()
        self._on_answer(kind, payload)
