"""The plan of a conversation: which session to ask for, who replies at the embedded endpoint."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.dialect import ConversationWish
from rt_cli.run.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from rt_cli.protocol.dialects.dialect import SessionRequest
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.run.plan import Plan
    from rt_cli.server.replies.interface import Replier
    from rt_cli.settings import Settings, TurnDetection

_PIECE_MS = 20


def talk_settings(settings: Settings, *, at_terminal: bool = False) -> Settings:
    """Return the settings with what a conversation has otherwise: short chunks, real time.

    Args:
        settings: Of the run.
        at_terminal: The user types where the status is shown: a live view would be drawn over the line.

    Raises:
        UsageError: A setting that a conversation cannot have.
    """
    if settings.output.format not in {"text", "json"}:
        raise UsageError(f"a conversation has no {settings.output.format}", "use -f text or --json")
    speed = settings.delivery.speed or 1.0
    if math.isinf(speed):
        raise UsageError("a conversation has a speed", "give --speed a number: 1 is real time")
    sound = settings.input if settings.input.chunk_ms else replace(settings.input, chunk_ms=_PIECE_MS)
    output = settings.output
    if at_terminal and output.status == "auto":
        output = replace(output, status="plain")
    return replace(settings, input=sound, output=output, delivery=replace(settings.delivery, speed=speed))


def plan_talk(
    settings: Settings,
    environ: Mapping[str, str],
    tools: Sequence[Mapping[str, object]] = (),
    *,
    key: str | None = None,
) -> Plan:
    """Make the plan of a conversation. Blocks while a key command runs.

    Args:
        settings: Of :func:`talk_settings`.
        environ: Variables that may choose the endpoint and hold its key.
        tools: Function tools, as in the session object.
        key: The key of an earlier plan, in place of one that is looked for.

    Raises:
        RtError: As for a transcription; also for a dialect without conversations.
    """

    def ask_for(endpoint: Endpoint, turns: TurnDetection | None) -> SessionRequest:
        if turns == "none":
            raise UsageError("a conversation has turns", "use --turn-detection server_vad or client")
        if turns == "semantic_vad" and endpoint.embedded:
            raise UsageError("the embedded endpoint detects turns by their silence", "use server_vad or client")
        talk = settings.talk
        wish = ConversationWish(
            transcription_model=talk.transcription_model or (endpoint.model if endpoint.embedded else ""),
            voice=talk.voice,
            instructions=talk.instructions,
            spoken=not talk.no_audio,
            tools=tuple(tools),
        )
        return endpoint.conversation(settings.session, wish, turns)

    plan = make_plan(settings, environ, key=key, conversation=ask_for)
    if plan.choice.url is not None and settings.endpoint.model and _model_in(plan.choice.url):
        raise UsageError("both --model and a model in the URL", "give one of them")
    return plan


def with_model_of_url(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with the model that its URL names, if it names one."""
    return replace(endpoint, model=endpoint.named_model or endpoint.model)


def _model_in(url: str) -> str | None:
    return next(iter(parse_qs(urlsplit(url).query).get("model", ())), None)


@asynccontextmanager
async def embedded_replier(plan: Plan, *, verbatim: bool) -> AsyncIterator[Replier | None]:
    """Open who replies at the embedded endpoint: a voice, where the extra is installed, else an echo.

    Args:
        plan: Of the conversation.
        verbatim: Whether it is to say the words of the user, and nothing else.

    Yields:
        None for another endpoint.
    """
    if not plan.embedded:
        yield None
        return
    from importlib.util import find_spec

    if not verbatim and find_spec("espeakng_loader") is None:
        from rt_cli.server.replies.echo import Echo

        # Who talks to an echo reads its words: they are worth the wait for the recogniser.
        yield Echo(needs_words=True)
        return
    from rt_cli.server.replies.registry import open_replier

    async with open_replier("voice", reply_text="{transcript}" if verbatim else None) as replier:
        yield replier
