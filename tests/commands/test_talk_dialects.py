"""``rt ask``, ``rt talk`` and ``rt bench --talk`` with every endpoint that converses, as processes."""

from __future__ import annotations

import asyncio
import wave
from typing import TYPE_CHECKING

import pytest

from rt_cli.protocol.dialects import DIALECTS
from tests.exact import speech
from tests.fakes import run
from tests.program import rt, write_wav
from tests.standins.conversation.partners import PARTNERS, Partner

if TYPE_CHECKING:
    from pathlib import Path

    from tests.program import Ran

every = pytest.mark.parametrize("partner", PARTNERS, ids=[each.name for each in PARTNERS])


def with_agent(partner: Partner, *arguments: str) -> Ran:
    """Run ``rt`` with the agent of a partner as its endpoint."""

    async def scenario() -> Ran:
        async with partner.agent().serving() as agent:
            path = "/v1/realtime" if partner.dialect == "openai" else ""
            named = () if partner.model is None else ("--model", partner.model)
            url = f"ws://127.0.0.1:{agent.port}{path}"
            return await asyncio.to_thread(rt, *arguments, "--url", url, "--dialect", partner.dialect, *named)

    return run(scenario(), 60)


@every
def test_a_written_question(partner: Partner) -> None:
    """Its answer in text, also from an endpoint that only speaks."""
    ran = with_agent(partner, "ask", "what is it", "-q")

    assert (ran.exit, ran.err) == (0, "")
    assert ran.out == "reply to what is it\n"


@every
def test_an_answer_as_sound(partner: Partner, tmp_path: Path) -> None:
    """The whole of it."""
    ran = with_agent(partner, "ask", "what is it", "-q", "-o", str(tmp_path / "answer.wav"))

    assert (ran.exit, ran.err) == (0, "")
    with wave.open(str(tmp_path / "answer.wav")) as answer:
        assert answer.getframerate() == partner.rate_hz
        assert answer.getnframes() == pytest.approx(partner.reply_samples, rel=0.01)


@pytest.mark.parametrize("name", ["xai", "qwen"])
def test_conversations_are_measured(name: str, tmp_path: Path) -> None:
    """Each turn has its reply."""
    partner = next(each for each in PARTNERS if each.name == name)
    turn = write_wav(tmp_path / "turn.wav", speech(0, 6_000), 24_000)

    ran = with_agent(partner, "bench", "--talk", "--json", "--spread", "0", str(turn))

    assert ran.exit == 0, ran.err
    assert ran.of("bench_session")[0]["exit"] == 0


@pytest.mark.parametrize("name", ["vllm", "inworld"])
def test_who_only_transcribes_says_so(name: str) -> None:
    """One line, and where to go."""
    ran = rt("ask", "what", "--url", "ws://127.0.0.1:9", "--dialect", name, "--model", "m")

    assert ran.exit == 2
    assert f"rt only transcribes with {name}" in ran.err
    assert "rt stream" in ran.err


def test_a_model_that_is_not_there() -> None:
    """The endpoint refuses it before anything is said."""
    partner = next(each for each in PARTNERS if each.name == "xai")

    ran = with_agent(partner, "ask", "what", "-q", "--model", "grok-nothing")

    assert ran.exit not in {0, 1, 2}
    assert len(ran.err.strip().splitlines()) <= 2
    assert "404" in ran.err


def test_the_help_says_who_converses() -> None:
    """A column of the table, from the registry."""
    ran = rt("help", "endpoints")

    lines = ran.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("| `--dialect`"))
    head, _, *rows = lines[at : at + 2 + len(DIALECTS)]
    cells = {row.split("|")[1].strip(" `"): row.split("|")[-2].strip() for row in rows}
    assert "`rt talk`" in head
    assert {name for name in DIALECTS if cells[name].startswith("yes")} == {each.dialect for each in PARTNERS}
    assert {name for name in DIALECTS if "cut" in cells[name]} == {"xai", "qwen"}
