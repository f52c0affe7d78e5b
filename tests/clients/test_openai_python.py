"""The official Python package, unchanged, against the embedded endpoint."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from openai import AsyncOpenAI

from tests.clients.python_scenarios import SCENARIOS
from tests.clients.stages import TOKEN, stage
from tests.fakes import run
from tests.program import needs_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAMES = [pytest.param(name, marks=needs_words if SCENARIOS[name][0] == "words" else ()) for name in SCENARIOS]


async def play(name: str, *faults: str) -> None:
    """Play a scenario against its endpoint."""
    where, scenario = SCENARIOS[name]
    async with (
        stage(where, *faults) as server,
        AsyncOpenAI(api_key=TOKEN, base_url=f"http://127.0.0.1:{server.port}/v1", max_retries=0) as client,
    ):
        await scenario(client)


@pytest.mark.parametrize("name", NAMES)
def test_scenario(name: str) -> None:
    """See :mod:`tests.clients.python_scenarios`."""
    run(play(name), 60)
