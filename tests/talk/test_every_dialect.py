"""A conversation with every endpoint that has some: each against an agent that speaks its protocol, and its faults."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.errors import UsageError
from rt_cli.events import Errored, Warned
from rt_cli.protocol.dialects import DIALECTS
from tests.exact import judge, speech
from tests.proxy import Fault, Proxy
from tests.standins.conversation.agent import value_of
from tests.standins.conversation.partners import PARTNERS, Partner
from tests.standins.conversation.xai import XaiTalk
from tests.talk.scripted_talk import Talk, talk
from tests.talk.test_recovery import fault

if TYPE_CHECKING:
    from tests.standins.conversation.server import Agent

PAIRS = 2_400
every = pytest.mark.parametrize("partner", PARTNERS, ids=[each.name for each in PARTNERS])
XAI = next(each for each in PARTNERS if each.name == "xai")


def texts(turns: int) -> list[str]:
    """The words of so many turns."""
    return [f"{number * PAIRS}-{(number + 1) * PAIRS - 1}" for number in range(turns)]


async def hold(partner: Partner, port: int, turns: int = 4, **options: Any) -> Talk:
    """Talk with the agent of a partner, or with a proxy before it."""
    utterances = [speech(number * PAIRS, PAIRS) for number in range(turns)]
    return await talk(port, utterances, dialect=partner.dialect, model=partner.model, **options)


def heard(held: Talk, text: str) -> int:
    """Samples of the reply to a turn that were heard; conversion to another rate moves a value by little."""
    value = value_of(text)
    return sum(count for each, count in held.heard.items() if abs(each - value) <= value // 50)


def check(partner: Partner, held: Talk, turns: int) -> None:
    """Check that each turn has its words and its reply, whole and once."""
    assert [final.text for final in held.finals] == texts(turns)
    assert [reply.text for reply in held.replies] == [f"reply to {text}" for text in texts(turns)]
    assert [reply.turn for reply in held.replies] == list(range(1, turns + 1))
    for text in texts(turns):
        assert heard(held, text) == pytest.approx(partner.reply_samples, rel=0.02)
    assert held.summary.exit == 0
    assert held.summary.complete


def troubles(held: Talk) -> list[str]:
    """What the user was told besides the conversation."""
    return [each.message for each in held.events if isinstance(each, Errored | Warned) and each.code != "loop_lag"]


@every
def test_a_conversation(partner: Partner) -> None:
    """Words, replies and tools once each, in order, and nothing that the endpoint refuses."""

    async def scenario() -> tuple[Agent, Talk]:
        async with partner.agent(calls_tools=True).serving() as agent:
            return agent, await hold(partner, agent.port)

    agent, held = asyncio.run(scenario())

    check(partner, held, 4)
    assert held.tools.total() > 0
    assert set(held.tools.values()) == {1}
    assert agent.refusals == []
    assert troubles(held) == []


@every
def test_turns_of_the_client(partner: Partner) -> None:
    """One reply to each commit: where it is asked for, or comes by itself; a refusal where there are none."""

    async def scenario() -> tuple[Agent, Talk]:
        async with partner.agent(calls_tools=True).serving() as agent:
            return agent, await hold(partner, agent.port, turns=3, who="client")

    if not partner.client_turns:
        with pytest.raises(UsageError, match="--turn-detection"):
            asyncio.run(scenario())
        return
    agent, held = asyncio.run(scenario())

    check(partner, held, 3)
    assert agent.refusals == []
    assert len(agent.sent("response.create")) == held.tools.total() + (0 if partner is XAI else 3)


@every
def test_interruptions(partner: Partner) -> None:
    """What was heard is told where the endpoint can be told; nothing of an old reply is heard behind."""

    async def scenario() -> tuple[Agent, Talk]:
        async with partner.agent(pause_s=0.002).serving() as agent:
            return agent, await hold(partner, agent.port, turns=6, interrupt_at=partner.rate_hz // 5)

    agent, held = asyncio.run(scenario())

    assert [final.text for final in held.finals] == texts(6)
    assert len(held.interruptions) == 5
    assert [reply.interrupted for reply in held.replies] == [*[True] * 5, False]
    for text, reply in zip(texts(6), held.replies, strict=True):
        assert heard(held, text) * 1000 / partner.rate_hz == pytest.approx(reply.played_ms, abs=25)
    assert bool(agent.truncated) == partner.truncates
    told = dict(agent.truncated)
    assert all(
        told[text] == reply.played_ms for text, reply in zip(texts(6), held.replies, strict=True) if text in told
    )
    assert [each for each in held.events if isinstance(each, Errored)] == []
    assert held.summary.complete


async def kill(partner: Partner, seed: int) -> tuple[Talk, int]:
    """A conversation over connections that are cut, and how many were."""
    chance = random.Random(seed)
    plan = [fault(chance, number) for number in range(6)]
    proxy = Proxy(lambda number: plan[number] if number < len(plan) else Fault(), seed=seed)
    async with partner.agent(calls_tools=True, pause_s=0.003).serving() as agent, proxy.serving(agent.port):
        return await hold(partner, proxy.port, turns=6), proxy.cuts


@every
@pytest.mark.parametrize("seed", range(2))
def test_killed_connections(partner: Partner, seed: int) -> None:
    """Cuts at any byte, in replies too: each word of the user once, each reply at most once, each tool once."""
    held, _ = asyncio.run(kill(partner, seed))

    spans = [range(number * PAIRS, (number + 1) * PAIRS) for number in range(6)]
    assert judge([final.text for final in held.finals], spans).perfect
    samples = [heard(held, text) for text in texts(6)]
    assert min(samples) > 0
    assert max(samples) <= partner.reply_samples * 1.02
    assert all(count == 1 for count in held.tools.values())
    assert held.summary.complete
    assert held.summary.ledger.captured == held.summary.ledger.settled


@every
@pytest.mark.long
def test_fifty_kills(partner: Partner) -> None:
    """The same over many seeds."""
    cuts = lost = twice = tools_twice = unheard = seed = 0
    spans = [range(number * PAIRS, (number + 1) * PAIRS) for number in range(6)]
    while cuts < 50:
        seed += 1
        held, killed = asyncio.run(kill(partner, 100 + seed))
        cuts += killed
        verdict = judge([final.text for final in held.finals], spans)
        lost += verdict.lost + verdict.doubled + verdict.garbled
        samples = [heard(held, text) for text in texts(6)]
        twice += sum(each > partner.reply_samples * 1.02 for each in samples)
        unheard += samples.count(0)
        tools_twice += sum(count > 1 for count in held.tools.values())
    print(
        f"{partner.name}: {cuts} kills, {lost} pairs lost or doubled, {twice} replies and {tools_twice} tools twice, "
        f"{unheard} turns without a reply"
    )

    assert (lost, twice, tools_twice, unheard) == (0, 0, 0, 0)


@every
def test_sessions_that_expire(partner: Partner) -> None:
    """The endpoint ends each session after a second: nothing is lost, and nothing is said twice."""

    async def scenario() -> tuple[Agent, Talk]:
        async with partner.agent(pause_s=0.005, lifetime_s=1.0).serving() as agent:
            return agent, await hold(partner, agent.port, turns=10, speed=5)

    agent, held = asyncio.run(scenario())

    assert agent.connections > 1
    assert [final.text for final in held.finals] == texts(10)
    assert max(heard(held, text) for text in texts(10)) <= partner.reply_samples * 1.02
    assert held.summary.complete


def test_an_end_that_is_taken_back() -> None:
    """The endpoint ends a turn, and goes on with it: it is one turn, with one reply."""

    class Hasty(XaiTalk):
        """Tells of the end of speech at half of the silence."""

        async def quiet(self, silence_ms: int) -> None:
            if silence_ms >= self.silence_ms // 2 and not self.stopped:
                await self.stop_speech()

    def utterance(first: int) -> bytes:
        return speech(first, PAIRS // 2) + bytes(150 * 24 * 2) + speech(first + PAIRS // 2, PAIRS // 2)

    async def scenario() -> Talk:
        agent = XAI.agent()
        agent.talk = Hasty
        async with agent.serving():
            utterances = [utterance(number * PAIRS) for number in range(3)]
            return await talk(agent.port, utterances, dialect="xai", model=None)

    held = asyncio.run(scenario())

    check(XAI, held, 3)


@pytest.mark.parametrize("name", ["vllm", "sglang", "localai", "speaches", "nvidia", "inworld"])
def test_who_only_transcribes_says_so(name: str) -> None:
    """In one line, before anything is opened."""
    with pytest.raises(UsageError, match=f"rt only transcribes with {name}") as caught:
        DIALECTS[name].for_conversations()

    assert "rt stream" in (caught.value.hint or "")


def test_every_dialect_that_converses_has_an_agent() -> None:
    """And no other one."""
    converse = {dialect.name for dialect in DIALECTS.values() if dialect.conversations is not None}
    assert {each.dialect for each in PARTNERS} == converse
