"""A scripted conversation inside a test, with an agent and a network between that may fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from rt_cli.clock import SystemClock
from rt_cli.conversation_events import BargedIn, ReplyEnded, ToolCalled
from rt_cli.events import Final
from rt_cli.protocol.dialects.dialect import ConversationWish
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.settings import EndpointSettings, InputSettings
from rt_cli.streaming.job import Job
from rt_cli.streaming.streamer import Streamer
from rt_cli.talk.partner import Partner
from rt_cli.talk.position import Position
from rt_cli.talk.user.script import TalkScript, Utterance
from rt_cli.talk.user.talk_source import ScriptedSource
from tests.exact import ExactDetector
from tests.streaming.harness import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.audio.source import Source
    from rt_cli.events import Event, Summary
    from rt_cli.protocol.conversation.actions import RunTool
    from rt_cli.protocol.conversation.playback import Heard
    from rt_cli.settings import TurnDetection


@dataclass
class Talk:
    """What came of a conversation."""

    events: list[Event] = field(default_factory=list)
    tools: Counter[str] = field(default_factory=Counter)
    """How often a tool was run, by its arguments."""
    heard: Counter[int] = field(default_factory=Counter)
    """How many samples of each value were heard."""
    ended: Summary | None = None

    @property
    def summary(self) -> Summary:
        """The summary."""
        assert self.ended is not None
        return self.ended

    @property
    def finals(self) -> list[Final]:
        """The words of the user."""
        return [event for event in self.events if isinstance(event, Final)]

    @property
    def replies(self) -> list[ReplyEnded]:
        """The replies."""
        return [event for event in self.events if isinstance(event, ReplyEnded)]

    @property
    def interruptions(self) -> list[BargedIn]:
        """The interruptions."""
        return [event for event in self.events if isinstance(event, BargedIn)]

    def take_heard(self, pieces: Sequence[Heard], _upto: int) -> None:
        """Count what was heard."""
        for piece in pieces:
            values, counts = np.unique(np.frombuffer(piece.pcm, "<i2"), return_counts=True)
            for value, count in zip(values, counts, strict=True):
                self.heard[int(value)] += int(count)


async def talk(
    port: int,
    utterances: Sequence[bytes],
    *,
    dialect: str = "openai",
    model: str | None = "agent",
    who: TurnDetection | None = None,
    speed: float = 10.0,
    interrupt_at: int | None = None,
    max_session_s: float | None = None,
    seconds: float = 60,
) -> Talk:
    """Hold a conversation.

    Args:
        port: Of the agent, or of the proxy before it.
        utterances: The turns of the user, PCM.
        dialect: Of the agent.
        model: That is asked for.
        who: Makes the turns.
        speed: Of the clock.
        interrupt_at: Samples of a reply after which the next turn begins; None waits for its end.
        max_session_s: Longest life of a connection.
        seconds: Deadline.
    """
    result = Talk()
    chosen = settings(retry_for_s=30.0, max_session_s=max_session_s)
    chosen = replace(chosen, input=InputSettings(chunk_ms=20))
    url = f"ws://127.0.0.1:{port}{'/v1/realtime' if dialect == 'openai' else ''}"
    endpoint = resolve(EndpointSettings(url=url, dialect=dialect, model=model), url, None, conversation=True)
    tools = ({"type": "function", "name": "look", "parameters": {"type": "object"}},)
    wish = ConversationWish(tools=tools)
    session = endpoint.conversation(chosen.session, wish, who)
    endpoint = endpoint.with_query(session.query)
    rate_hz = session.rate_hz
    turns = [Utterance(f"turn {number}", pcm, len(pcm) // 2) for number, pcm in enumerate(utterances, 1)]
    script = TalkScript(turns, patience=round(5 * speed * rate_hz), interrupt_at=interrupt_at)
    position = Position(SystemClock(), rate_hz, speed)
    loop = asyncio.get_running_loop()

    def run_tool(call: RunTool) -> None:
        result.tools[call.arguments] += 1
        ended = ToolCalled(call.name, call.arguments, 0, 1)
        loop.call_later(0.01, partner.tool_ended, call, "found", ended)

    partner = Partner(
        position,
        result.events.append,
        session,
        run_tool=run_tool,
        on_heard=result.take_heard,
        speech_end_before=script.speech_end_before,
    )

    async def open_source(*_: object) -> Source:
        return ScriptedSource("script", script, partner, position, partner.ready, lambda _at, _pcm: None)

    job = Job("script", open_source, endpoint, session, chosen, ExactDetector, conversation=partner)
    streamer = Streamer(job, SystemClock(), partner.on_event)
    async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
        clock = tasks.create_task(partner.keep_time())
        result.ended = await streamer.run()
        clock.cancel()
    assert not script.unanswered, script.unanswered
    return result
