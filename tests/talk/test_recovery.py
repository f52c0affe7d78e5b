"""Connections that are killed at any byte: no word of the user is lost, no reply is heard twice, no tool runs twice."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import pytest

from rt_cli.events import Warned
from tests.exact import judge, speech
from tests.proxy import Fault, Proxy
from tests.standins.conversation.agent import REPLY_SAMPLES, value_of
from tests.standins.conversation.server import Agent
from tests.talk.scripted_talk import Talk, talk

TURNS, PAIRS = 6, 4_000


@dataclass(frozen=True)
class Killed:
    """What came of a conversation over connections that were killed."""

    talk: Talk
    cuts: int
    lost: int
    """Samples of the user that are in no final, or in two."""
    twice: int
    """Replies of which more was heard than there is of one."""
    tools_twice: int
    unheard: int
    """Turns to which no reply was heard at all."""


def fault(chance: random.Random, number: int) -> Fault:
    """A fault; every third connection lives longer, because three fruitless ones end a run."""
    if number % 3 == 2:
        return Fault(cut_after=chance.randrange(500_000, 1_000_000))
    if chance.random() < 0.5:
        return Fault(cut_down_after=chance.randrange(500, 60_000), how=chance.choice(("rst", "fin")))
    return Fault(cut_after=chance.randrange(2_000, 200_000), how=chance.choice(("rst", "fin", "half")))


async def kill(seed: int, *, kills: int = 8) -> Killed:
    """Hold a conversation of exact turns."""
    chance = random.Random(seed)
    plan = [fault(chance, number) for number in range(kills)]
    spans = [range(number * PAIRS, (number + 1) * PAIRS) for number in range(TURNS)]
    proxy = Proxy(lambda number: plan[number] if number < len(plan) else Fault(), seed=seed)
    agent = Agent(calls_tools=True, pause_s=0.003)
    async with agent.serving(), proxy.serving(agent.port):
        held = await talk(proxy.port, [speech(span.start, PAIRS) for span in spans])
    verdict = judge([final.text for final in held.finals], spans)
    heard = [held.heard[value_of(f"{span.start}-{span.stop - 1}")] for span in spans]
    return Killed(
        held,
        proxy.cuts,
        verdict.lost + verdict.doubled + verdict.garbled,
        sum(samples > REPLY_SAMPLES for samples in heard),
        sum(count > 1 for count in held.tools.values()),
        heard.count(0),
    )


@pytest.mark.parametrize("seed", range(4))
def test_killed_connections(seed: int) -> None:
    """Each word of the user once, each reply at most once, each tool once; and the conversation comes to its end."""
    killed = asyncio.run(kill(seed))

    assert killed.cuts > 0
    assert (killed.lost, killed.twice, killed.tools_twice, killed.unheard) == (0, 0, 0, 0)
    assert killed.talk.summary.complete
    ledger = killed.talk.summary.ledger
    assert ledger.captured == ledger.settled


@pytest.mark.long
def test_two_hundred_kills() -> None:
    """The same over many seeds."""
    cuts = lost = twice = tools_twice = unheard = seed = 0
    while cuts < 200:
        killed = asyncio.run(kill(100 + seed))
        seed += 1
        cuts += killed.cuts
        lost += killed.lost
        twice += killed.twice
        tools_twice += killed.tools_twice
        unheard += killed.unheard
    print(
        f"{cuts} kills in {seed} conversations: {lost} samples lost, {twice} replies and {tools_twice} tools twice, "
        f"{unheard} turns without a reply"
    )

    assert (lost, twice, tools_twice, unheard) == (0, 0, 0, 0)


def test_a_conversation_without_faults() -> None:
    """Every reply is heard whole, once, and in order."""

    async def scenario() -> tuple[Agent, Talk]:
        async with Agent(calls_tools=True).serving() as agent:
            return agent, await talk(agent.port, [speech(number * PAIRS, PAIRS) for number in range(TURNS)])

    agent, held = asyncio.run(scenario())

    texts = [f"{number * PAIRS}-{(number + 1) * PAIRS - 1}" for number in range(TURNS)]
    assert [final.text for final in held.finals] == texts
    assert [reply.text for reply in held.replies] == [f"reply to {text}" for text in texts]
    assert [reply.turn for reply in held.replies] == [1, 2, 3, 4, 5, 6]
    assert [held.heard[value_of(text)] for text in texts] == [REPLY_SAMPLES] * TURNS
    assert held.tools.total() > 0
    assert set(held.tools.values()) == {1}
    assert agent.refusals == []


def test_sessions_that_end_in_time() -> None:
    """One hands over to the next between two turns, never within a reply; nothing is said twice or lost."""

    async def scenario() -> tuple[Agent, Talk]:
        async with Agent(calls_tools=True, pause_s=0.005).serving() as agent:
            utterances = [speech(number * PAIRS, PAIRS) for number in range(20)]
            return agent, await talk(agent.port, utterances, speed=5, max_session_s=3.0)

    agent, held = asyncio.run(scenario())

    texts = [f"{number * PAIRS}-{(number + 1) * PAIRS - 1}" for number in range(20)]
    assert agent.connections > 1
    assert [final.text for final in held.finals] == texts
    assert [held.heard[value_of(text)] for text in texts] == [REPLY_SAMPLES] * 20
    assert {reply.status for reply in held.replies} == {"completed"}
    assert set(held.tools.values()) == {1}


def test_an_agent_that_writes_nothing_down() -> None:
    """The conversation is held, with a warning; the words of the user are empty."""

    async def scenario() -> Talk:
        async with Agent(transcribes=False).serving() as agent:
            return await talk(agent.port, [speech(number * PAIRS, PAIRS) for number in range(3)])

    held = asyncio.run(scenario())

    assert [final.text for final in held.finals] == ["", "", ""]
    assert [reply.turn for reply in held.replies] == [1, 2, 3]
    assert [event.code for event in held.events if isinstance(event, Warned)] == ["no_transcription"]
    assert held.summary.complete
