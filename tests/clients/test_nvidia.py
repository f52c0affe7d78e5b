"""NVIDIA's own client against the stand-in of NVIDIA: what it accepts is faithful enough for ``rt``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.clients.test_other_clients import OTHERS, interpreter
from tests.exact import judge, turns
from tests.fakes import run
from tests.standins.nvidia import NvidiaScript
from tests.standins.standin import StandIn


@pytest.mark.long
@pytest.mark.parametrize("trailing", [True, False], ids=["closed by silence", "closed at the end"])
def test_the_client_of_nvidia(pytestconfig: pytest.Config, tmp_path: Path, *, trailing: bool) -> None:
    """All words, once."""
    python = interpreter(Path(str(pytestconfig.cache.mkdir("clients"))), "nvidia-riva-client==2.28.0 requests==2.34.2")  # type: ignore[union-attr]

    async def check() -> None:
        pcm, spans = turns(3)
        file = tmp_path / "sound.raw"
        file.write_bytes(pcm if trailing else pcm[: -(400 * 24) * 2])
        async with StandIn(NvidiaScript).serving() as server:
            process = await asyncio.create_subprocess_exec(
                *(str(python), str(OTHERS / "nvidia_riva.py"), urlsplit(server.url).netloc, str(file)),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                out, err = await process.communicate()
            except asyncio.CancelledError:
                process.kill()
                await process.wait()
                raise
        lines = [line for line in out.decode().splitlines() if line.startswith('{"words"')]
        assert lines, err.decode()[-2_000:]
        assert judge(json.loads(lines[-1])["words"], spans).perfect
        assert len(server.calls) == 1

    run(check(), 60)
