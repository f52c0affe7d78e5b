"""A decoder process that answers with what nobody understands: its item fails, and the next one gets a process."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from rt_cli.server.recognition.interface import RecognizerFailed
from rt_cli.server.recognition.pocketsphinx import worker
from tests.fakes import run
from tests.server.recognition.pocketsphinx.test_recognizer import RATE_HZ, pool, recognise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PROGRAM = """
import sys, time
sys.stdout.buffer.write({ready!r})
sys.stdout.buffer.flush()
sys.stdin.buffer.read(1)
sys.stdout.buffer.write({answer!r})
sys.stdout.buffer.flush()
time.sleep(60)
"""
NESTED = b"[" * 100_000 + b"]" * 100_000
ANSWERS: Sequence[bytes] = (
    worker.frame(worker.FINAL, b""),
    worker.frame(worker.FINAL, b"[]"),
    worker.frame(worker.FINAL, b'{"text": 1, "voice": {}}'),
    worker.frame(worker.FINAL, b'{"text": "a"}'),
    worker.frame(worker.FINAL, b'{"text": "a", "voice": null}'),
    worker.frame(worker.FINAL, b'{"text": "a", "voice": {"cmn": ' + NESTED + b"}}"),
    worker.frame(worker.PARTIAL, b"\xff"),
    worker.frame(b"?", b"a"),
    struct.pack("<cI", worker.PARTIAL, 2**32 - 1),
)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: repr(answer[:12]))
def test_wrong_answers(answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends its process and fails its item, at once."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(ready=worker.frame(worker.READY), answer=answer), encoding="utf-8")
    monkeypatch.setattr(worker, "__file__", str(program))

    async def scenario() -> None:
        async with pool() as sphinx, sphinx.session() as session:
            for _ in range(2):
                with pytest.raises(RecognizerFailed, match="nobody understands"):
                    await recognise(session, bytes(RATE_HZ))

    run(scenario(), 15)
