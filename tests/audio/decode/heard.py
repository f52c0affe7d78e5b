"""What a file gives: its sound with silence in the holes, the holes, the warnings and the error at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rt_cli.audio.decode.files import open_file
from rt_cli.errors import AudioError
from tests.fakes import run

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from rt_cli.audio.channels import Pick

WIRE = 24_000


@dataclass(frozen=True)
class Heard:
    """The result of reading a file to its end."""

    sound: NDArray[np.int16]
    """The timeline at the wire rate, holes as silence."""
    holes: list[tuple[float, float]]
    """Start and end of each hole, seconds."""
    warnings: list[tuple[str, str]]
    """Codes and texts."""
    failure: AudioError | None

    @property
    def seconds(self) -> float:
        """Length of the timeline."""
        return len(self.sound) / WIRE

    @property
    def codes(self) -> list[str]:
        """Codes of the warnings."""
        return [code for code, _ in self.warnings]


def hear(path: Path, pick: Pick = "mix") -> Heard:
    """Read a file to its end. Raises AudioError if it cannot be opened."""
    warnings: list[tuple[str, str]] = []
    source = open_file(path, wire_rate_hz=WIRE, pick=pick, warn=lambda code, text: warnings.append((code, text)))
    pcm = bytearray()
    holes: list[tuple[float, float]] = []

    async def read() -> AudioError | None:
        try:
            async for block in source.blocks():
                if block.lost:
                    assert block.reason == "damaged"
                    start = len(pcm) // 2
                    holes.append((start / WIRE, (start + block.lost) / WIRE))
                    pcm.extend(bytes(2 * block.lost))
                pcm.extend(block.pcm)
        except AudioError as error:
            return error
        finally:
            await source.aclose()
        return None

    failure = run(read())
    return Heard(np.frombuffer(bytes(pcm), "<i2"), holes, warnings, failure)
