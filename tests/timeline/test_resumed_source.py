"""The rest of a file behind a spool: positions count the holes of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from rt_cli.audio.decode.files import open_file
from rt_cli.timeline.journal import SpoolSource
from rt_cli.timeline.resumed_source import open_resumed
from rt_cli.timeline.spool import Spool
from tests.fakes import run

if TYPE_CHECKING:
    from pathlib import Path

    from rt_cli.audio.source import Source

RATE = 24_000
SOUND = np.random.default_rng(8).integers(-9_000, 9_000, 2 * RATE, dtype="<i2")
MARK = b"\xee\xee"
"""A lost sample."""


async def timeline(source: Source) -> bytes:
    """All samples of a source, with marks in its holes."""
    pcm = b"".join([MARK * block.lost + block.pcm async for block in source.blocks()])
    await source.aclose()
    return pcm


@pytest.mark.parametrize("part", [0.0, 0.3, 0.5, 0.75, 1.0])
def test_a_file_with_a_hole(tmp_path: Path, part: float) -> None:
    """Wherever the first process stopped, before the hole, in it or behind it, the second one goes on from there."""
    path = tmp_path / "a.flac"
    soundfile.write(path, SOUND, RATE)
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + 8] = bytes(8)
    path.write_bytes(data)
    whole = run(timeline(open_file(path, wire_rate_hz=RATE)))
    assert whole.count(MARK) > 1000
    captured = round(part * len(SOUND))
    spool = Spool.create(tmp_path / "spool", SpoolSource(RATE, "a", "file", path=str(path), size=len(data)))
    spool.append(0, bytes(2 * captured))
    spool.note({"type": "settled", "to": captured})
    spool.close(delivered=False)

    async def resumed() -> bytes:
        again, contents = Spool.reopen(tmp_path / "spool")
        pcm = await timeline(await open_resumed(again, contents, RATE))
        again.close(delivered=False)
        return pcm

    assert run(resumed()) == whole[2 * captured :]
