"""Measured conversations, against an agent whose delays are known by its own clock."""

from __future__ import annotations

import asyncio
import struct
import time
from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from rt_cli.bench.conversation import TalkSessions, conversation_settings
from rt_cli.bench.level import TALK_MEASURES
from rt_cli.bench.levels import LevelPlan, LoadLevels
from rt_cli.bench.recording import Recording
from rt_cli.clock import SystemClock
from rt_cli.run.plan import endpoint_of
from rt_cli.settings import DeliverySettings, Settings
from rt_cli.settings.talk import TalkSettings
from rt_cli.talk.talk_plan import plan_talk
from tests.fakes import run
from tests.program import noise
from tests.servers import scripted

if TYPE_CHECKING:
    from rt_cli.bench.level import Level
    from tests.servers import Client, Server

RATE_HZ = 24_000
SPEECH_S, PAUSE_S = 0.5, 0.9
QUESTION = Recording("question.wav", noise(round(SPEECH_S * RATE_HZ)) + bytes(2 * round(PAUSE_S * RATE_HZ)), RATE_HZ)
"""Half a second of sound, and silence in which a turn ends."""
ENDPOINTING_S, THINKING_S, INAUDIBLE_S = 0.7, 1.1, 0.8
"""How long the agent waits, from the end of the speech; from there; and the silence before the sound of its reply."""
TOLERANCE_MS = 350
"""On a busy machine; each of the delays is larger, so that one left out, or counted twice, is found."""
SETTINGS = conversation_settings(
    Settings(delivery=DeliverySettings(retry_for_s=0, connect_timeout_s=5), talk=TalkSettings(reply_timeout_s=3))
)


@dataclass
class Agent:
    """Ends a turn some time after its sound, and replies after another time."""

    breaks: str = ""
    """What goes wrong: ``silent``, ``failed``, ``endless``, ``lost`` or ``cut``."""
    ends: list[float] = field(default_factory=list)
    """When it ended each turn, less the time at which the first sound of the session came; seconds."""
    replies: list[float] = field(default_factory=list)
    """When it sent the first sound of each reply, likewise."""

    async def talk(self, client: Client) -> None:
        """Hold a conversation."""
        await client.greet()
        await client.until("input_audio_buffer.append")
        began = time.monotonic()
        await asyncio.sleep(SPEECH_S + ENDPOINTING_S)
        item = await self._end_turn(client)
        self.ends.append(time.monotonic() - began)
        if self.breaks == "silent":
            await client.until("nothing")
        await client.say("response.created", response={"id": "r1"})
        await asyncio.sleep(THINKING_S)
        ids = {"response_id": "r1", "item_id": f"{item}_reply", "output_index": 0, "content_index": 0}
        sound = bytes(2 * round(INAUDIBLE_S * RATE_HZ)) + struct.pack("<h", 9_000) * (RATE_HZ // 2)
        await client.say("response.output_audio.delta", **ids, delta=b64encode(sound).decode())
        self.replies.append(time.monotonic() - began)
        if self.breaks == "lost":  # a reset, which destroys what is on its way
            client.cut()
            return
        if self.breaks == "cut":
            # The client hears half a second of it.
            for _ in range(25 + round((SPEECH_S + ENDPOINTING_S + THINKING_S) * 50)):
                await client.until("input_audio_buffer.append")
            client.cut()
            return
        if self.breaks != "endless":
            await client.say("response.done", response={"id": "r1", "status": self.breaks or "completed"})
        await client.until("nothing")

    async def _end_turn(self, client: Client) -> str:
        await client.say("input_audio_buffer.speech_started", item_id="item_1", audio_start_ms=0)
        end_ms = round(1000 * (SPEECH_S + ENDPOINTING_S))
        await client.say("input_audio_buffer.speech_stopped", item_id="item_1", audio_end_ms=end_ms)
        item = await client.commit()
        await client.complete(item, "so it is")
        return item


def load_levels(server: Server, sessions: int = 1) -> LoadLevels:
    """Return conversations of one turn."""
    settings = replace(SETTINGS, endpoint=replace(SETTINGS.endpoint, url=server.url))
    plan = plan_talk(settings, {})
    endpoint = endpoint_of(settings, plan.key, server.url, plan.recognizer, conversation=plan.conversation)
    talks = TalkSessions(endpoint, plan.session, settings, [QUESTION], bill=None, clock=SystemClock())
    levels = LevelPlan(levels=[sessions], rounds=1, spread_s=0, limits=(), measures=TALK_MEASURES)
    return LoadLevels(levels, talks.open, SystemClock(), lambda _ended, _level: None)


def bench(server: Server, sessions: int = 1) -> Level:
    """Hold them."""
    return run(load_levels(server, sessions).run())[0]


def most(level: Level, measure: str) -> float:
    """The largest value of a measure, milliseconds."""
    values = level.measures[measure].percentiles()
    assert values is not None, f"no {measure}"
    return values.max


def test_known_delays_are_measured() -> None:
    """Each is what the agent's own clock says: to the end of the turn, to the first audio, to what can be heard."""
    agent = Agent()
    with scripted(agent.talk) as server:
        level = bench(server)

    (result,) = level.results
    assert result.flawless, result
    (ended,), (replied,) = agent.ends, agent.replies
    heard = replied + INAUDIBLE_S
    assert most(level, "endpointing") == pytest.approx(1000 * (ended - SPEECH_S), abs=TOLERANCE_MS)
    assert most(level, "first_audio") == pytest.approx(1000 * (replied - ended), abs=TOLERANCE_MS)
    assert most(level, "voice_to_voice") == pytest.approx(1000 * (heard - SPEECH_S), abs=TOLERANCE_MS)
    parts = most(level, "endpointing") + most(level, "first_audio") + 1000 * INAUDIBLE_S
    assert most(level, "voice_to_voice") == pytest.approx(parts, abs=3)


def test_a_client_that_is_late_is_in_the_figures() -> None:
    """The sound is due when it is due, also if this process was held up: nothing stands still for it."""
    blocked_s = 0.8

    async def scenario() -> Level:
        with scripted(Agent().talk) as server:
            levels = load_levels(server)
            running = asyncio.create_task(levels.run())
            while not levels.levels or levels.levels[0].measures["lateness"].n < 5:  # noqa: ASYNC110 # no signal
                await asyncio.sleep(0.01)
            time.sleep(blocked_s)  # noqa: ASYNC251 # block the loop on purpose
            return (await running)[0]

    lateness = run(scenario()).measures["lateness"]
    # Forty pieces of 20 ms were due meanwhile.
    in_time = max((share for value, share in lateness.curve() if value <= 100), default=0.0)
    assert lateness.n * (1 - in_time) >= 30
    assert lateness.curve()[-1][0] >= 1000 * blocked_s - 100


@pytest.mark.parametrize(
    ("breaks", "failures", "replies", "exit_code"),
    [
        ("silent", {"no_reply": 1}, 0, 7),
        ("failed", {"reply_incomplete": 1}, 1, 7),
        ("endless", {"reply_cut": 1}, 1, 7),
        ("lost", {"no_reply": 1}, 0, 5),
        ("cut", {"reply_cut": 1}, 1, 5),
    ],
)
def test_a_reply_that_fails_is_counted_once(
    breaks: str, failures: dict[str, int], replies: int, exit_code: int
) -> None:
    """By what became of it; the session has failed, and is accounted for."""
    with scripted(Agent(breaks=breaks).talk) as server:
        level = bench(server)

    (result,) = level.results
    assert result.failures == failures
    assert result.exit == exit_code
    assert level.replies is not None
    assert (level.replies.ended, level.replies.interrupted, level.replies.failed) == (replies, 0, 1)
    assert (level.started, level.finished, level.failed, level.lost) == (1, 0, 1, 0)


def test_conversations_at_once() -> None:
    """They do not wait for each other, and their values come together."""
    agent = Agent()
    with scripted(agent.talk) as server:
        level = bench(server, 4)

    assert (level.started, level.finished, level.errors) == (4, 4, 0)
    assert level.measures["voice_to_voice"].n == len(agent.replies) == 4
    assert level.replies is not None
    assert level.replies.ended == 4
    assert level.wall_s < 2 * (SPEECH_S + ENDPOINTING_S + THINKING_S + INAUDIBLE_S + 0.5)
