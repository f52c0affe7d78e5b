"""Our end of one decoder process."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rt_cli.server.recognition.pocketsphinx import worker as wire

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER_S = 20.0
"""Longest silence of a process that owes an answer, loading the model included."""
_LOG = logging.getLogger("rt.local")


class DecoderProcess:
    """A process, and the one question that it may owe an answer to. Begin with :meth:`start`.

    Args:
        process: Runs the worker; all of its stdin and stdout is ours.
        heard: Gets each answer, READY first; must not raise.
        ended: Called once, when the process is gone, with the reason for people; must not raise.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, heard: Callable[[bytes, bytes], None], ended: Callable[[str], None]
    ) -> None:
        assert process.stdin is not None  # noqa: S101 - it was asked for; narrows the type
        assert process.stdout is not None  # noqa: S101 - same
        self._process = process
        self._questions = process.stdin
        self._answers = process.stdout
        self._heard = heard
        self._ended = ended
        self._reason = "the recogniser's process ended"
        self._patience: asyncio.TimerHandle | None = None
        self._await_answer()
        self.life = asyncio.create_task(self._live(), name=f"recogniser {process.pid}")
        """Runs as long as the process; never raises."""

    @classmethod
    async def start(cls, heard: Callable[[bytes, bytes], None], ended: Callable[[str], None]) -> DecoderProcess:
        """Start a process; it loads its model meanwhile. Cancelled, it leaves none behind.

        Raises:
            OSError: There can be no process.
        """
        # -P: the working directory is no place for modules. A group of its own: the terminal's Ctrl-C is not for it.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(Path(wire.__file__))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        return cls(process, heard, ended)

    def begin(self, rate_hz: int, voice: dict[str, Any] | None) -> None:
        """An utterance begins with the next question."""
        self._write(wire.BEGIN, json.dumps({"rate_hz": rate_hz, "voice": voice}).encode())

    def ask(self, kind: bytes, payload: bytes = b"") -> None:
        """Ask for something that is answered; a process that does not is ended in :data:`ANSWER_S`."""
        self._write(kind, payload)
        self._await_answer()

    def kill(self) -> None:
        """End the process. Nothing in it is worth a farewell."""
        with suppress(ProcessLookupError):  # it has ended by itself
            self._process.kill()

    def _write(self, kind: bytes, payload: bytes) -> None:
        # Never drained: there is one question at a time, of 200 ms of sound at most.
        if not self._questions.is_closing():
            self._questions.write(wire.frame(kind, payload))

    def _await_answer(self) -> None:
        self._patience = asyncio.get_running_loop().call_later(ANSWER_S, self._hung)

    def _answered(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _hung(self) -> None:
        self._reason = f"the recogniser did not answer for {ANSWER_S:.0f} s"
        self.kill()

    async def _live(self) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):  # it ended
                while True:
                    kind, length = wire.HEADER.unpack(await self._answers.readexactly(wire.HEADER.size))
                    self._hear(kind, await self._answers.readexactly(length))
        finally:
            self._answered()
            self._questions.close()
            self._ended(self._reason)
            await self._process.wait()

    def _hear(self, kind: bytes, payload: bytes) -> None:
        if kind == wire.BROKEN:
            self._reason = payload.decode(errors="replace")
            _LOG.warning("recogniser failed: %s", self._reason)
            return
        self._answered()
        self._heard(kind, payload)
