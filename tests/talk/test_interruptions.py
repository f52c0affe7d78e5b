"""Interruptions at any moment: the endpoint is told exactly what was heard, and nothing late is played."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.exact import speech
from tests.standins.conversation.agent import RATE, value_of
from tests.standins.conversation.server import Agent
from tests.talk.scripted_talk import talk

PAIRS = 1_200
"""Pairs of samples of a turn: 100 ms."""


async def interrupt(seed: int, turns: int) -> tuple[int, int, int]:
    """Interrupt each reply but the last after a random time.

    Returns:
        Interruptions; the sum of |truncated at - heard|, ms; replies of which more was heard than the user let happen.
    """
    chance = random.Random(seed)
    # The agent hears speech at its first sample: a pause before it moves the interruption.
    pauses = [0, *(2 * chance.randrange(RATE // 3) for _ in range(turns - 1))]
    utterances = [bytes(pause) + speech(number * PAIRS, PAIRS) for number, pause in enumerate(pauses)]
    async with Agent(pause_s=0.002).serving() as agent:
        held = await talk(agent.port, utterances, speed=10, interrupt_at=0, seconds=120)
    texts = [f"{number * PAIRS}-{(number + 1) * PAIRS - 1}" for number in range(turns)]
    replies = dict(zip(texts, held.replies, strict=True))
    heard_ms = {text: held.heard[value_of(text)] * 1000 // RATE for text in texts}
    told = dict(agent.truncated)
    wrong = sum(abs(told[text] - heard_ms[text]) for text in told)
    wrong += sum(abs(reply.played_ms - heard_ms[text]) for text, reply in replies.items())

    late = sum(heard_ms[text] > reply.played_ms for text, reply in replies.items())

    return len(held.interruptions), wrong, late


@pytest.mark.parametrize("seed", range(2))
def test_interruptions_at_random_moments(seed: int) -> None:
    """What the endpoint is told is what was heard, to the millisecond."""
    interruptions, wrong_ms, late = asyncio.run(interrupt(seed, 12))

    assert interruptions > 6
    assert (wrong_ms, late) == (0, 0)


@pytest.mark.long
def test_a_thousand_interruptions() -> None:
    """The same, a thousand times."""
    interruptions = wrong_ms = late = seed = 0
    while interruptions < 1000:
        counted = asyncio.run(interrupt(100 + seed, 60))
        seed += 1
        interruptions += counted[0]
        wrong_ms += counted[1]
        late += counted[2]
    print(f"{interruptions} interruptions: {wrong_ms} ms between told and heard, {late} late deltas played")

    assert (wrong_ms, late) == (0, 0)
