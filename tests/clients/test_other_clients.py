"""Other clients, unmodified and pinned, each in its own virtual environment, against the embedded endpoint.

They want libraries that ours does not agree with, and are large: ``-m long`` fetches them once, and runs them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients.programs import interpreter, output_of
from tests.clients.python_scenarios import WORDS
from tests.clients.stages import stage
from tests.fakes import run
from tests.program import needs_words
from tests.server.client import recording, silence

PROGRAMS = {
    "openai-agents==0.24.0": [["openai_agents.py"]],
    "livekit-plugins-openai==1.8.9": [["livekit_realtime.py"], ["livekit_stt.py"]],
    "pipecat-ai[openai]==1.14.0": [["pipecat_services.py", "stt"], ["pipecat_services.py", "llm"]],
}
"""What is installed, and what is run with it."""


async def heard_at_words(python: Path, program: str, speech: Path, *args: str) -> dict[str, Any]:
    """The output of a program against an endpoint with words and echo."""
    async with stage("words") as server:
        return await output_of(python, program, server.url, str(speech), *args)


@pytest.mark.long
@needs_words
@pytest.mark.parametrize(
    ("requirement", "program"),
    [
        pytest.param(requirement, program, id=" ".join(program))
        for requirement, programs in PROGRAMS.items()
        for program in programs
    ],
)
def test_client(
    requirement: str, program: list[str], pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The client gets the words of a human turn and the answer, without an error."""
    cache = pytestconfig.cache
    folder = Path(cache.mkdir("clients")) if cache else tmp_path_factory.mktemp("clients")
    python = interpreter(folder, requirement)
    speech = tmp_path_factory.mktemp("speech") / "24_khz.pcm"
    speech.write_bytes(silence(1) + recording("sense_0930") + silence(1.5))
    name, *args = program
    heard = run(heard_at_words(python, name, speech, *args), 120)
    assert heard["errors"] == []
    if heard["words"] is not None:
        assert len(WORDS & set(heard["words"].split())) > len(WORDS) / 2
    if heard["audio_bytes"] is not None:
        assert heard["audio_bytes"] > 48_000
