"""NVIDIA's own client against the stand-in of NVIDIA: what it accepts is faithful enough for ``rt``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.clients.programs import interpreter, output_of
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
            place = urlsplit(server.url).netloc
            heard = await output_of(python, "nvidia_riva.py", place, str(file))
        assert judge(heard["words"], spans).perfect
        assert len(server.calls) == 1

    run(check(), 60)
