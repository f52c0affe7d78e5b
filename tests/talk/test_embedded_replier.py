"""Who replies when nothing is configured: always somebody whose words can be read."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from rt_cli.run.plan import make_plan
from rt_cli.settings import EndpointSettings, Settings
from rt_cli.talk.talk_plan import embedded_replier
from tests.fakes import run

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


@pytest.mark.parametrize("voice", [False, True], ids=["echo", "voice"])
def test_words_are_waited_for(monkeypatch: pytest.MonkeyPatch, *, voice: bool) -> None:
    """With the extra for a voice and without it, a spoken turn is answered when its words are known."""
    if voice:
        pytest.importorskip("espeakng_loader")
    found = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "espeakng_loader" and not voice else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    plan = make_plan(Settings(endpoint=EndpointSettings(local=True)), {})

    async def scenario() -> tuple[str, bool]:
        async with embedded_replier(plan, verbatim=False) as replier:
            assert replier is not None
            return type(replier).__name__, replier.needs_words

    name, needs_words = run(scenario())
    assert needs_words
    assert (name == "Echo") is not voice
