"""Runs of ``rt`` to a stand-in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rt_cli.clock import SystemClock
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.settings import EndpointSettings, SessionSettings, Settings
from rt_cli.streaming.job import Job
from rt_cli.streaming.streamer import Streamer
from tests.exact import ExactDetector
from tests.streaming.harness import MemorySource, Run, settings

if TYPE_CHECKING:
    from rt_cli.audio.source import Source
    from rt_cli.events import Event


def chosen_settings(session: SessionSettings | None = None, **delivery: object) -> Settings:
    """Short timeouts, the turns left to the dialect, unless the session says more."""
    usual = SessionSettings(silence_ms=200, prefix_ms=0)
    return replace(settings(**delivery), session=session or usual)


async def listen(
    url: str,
    pcm: bytes,
    *,
    dialect: str | None = None,
    model: str = "whisper-1",
    chosen: Settings | None = None,
    live: bool = False,
    speed: float = 1.0,
) -> Run:
    """Send the sound, check the marks at each event, and return the run."""
    outcome, chosen = Run(), chosen or chosen_settings()
    named = EndpointSettings(url=url, dialect=dialect, model=model)
    endpoint = resolve(named, url, None, session_type=chosen.session.session_type)
    request = endpoint.request(chosen.session, chosen.session.turn_detection)

    async def opened(*_: object) -> Source:
        return MemorySource(pcm, live=live, speed=speed)

    job = Job("memory", opened, endpoint.with_query(request.query), request, chosen, ExactDetector)

    def on_event(event: Event) -> None:
        tape = streamer.tape
        assert tape.captured >= tape.sent >= tape.acknowledged >= tape.settled
        assert tape.ledger().balanced
        outcome.events.append(event)

    streamer = Streamer(job, SystemClock(), on_event)
    outcome.ended = await streamer.run()
    outcome.check_story()
    assert outcome.ended.ledger.balanced
    return outcome
