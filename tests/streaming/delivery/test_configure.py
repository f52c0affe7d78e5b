"""The handshake with a server that greets like one of another dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rt_cli.protocol.endpoint.endpoint import Endpoint, resolve
from rt_cli.protocol.endpoint.negotiation import OtherDialectError
from rt_cli.protocol.server_events import Ignored, ServerEvent, SessionCreated, SessionUpdated
from rt_cli.protocol.session.handshake import Handshake
from rt_cli.settings import EndpointSettings, SessionSettings
from rt_cli.streaming.delivery.configure import configure
from tests.fakes import run

if TYPE_CHECKING:
    from collections.abc import Callable


async def greet(endpoint: Endpoint, *events: ServerEvent) -> list[bytes]:
    """Go through the handshake with a server that says these, one after another; returns what it is sent."""
    handshake, waiting, sent = Handshake(), list(events), list[bytes]()

    async def send(message: bytes) -> None:
        sent.append(message)

    async def until(reached: Callable[[], bool]) -> None:
        while not reached():
            if not waiting:
                raise TimeoutError
            handshake.receive(waiting.pop(0))

    codec = endpoint.dialect.codec(endpoint.request(SessionSettings(), None))
    await configure(handshake, endpoint, codec, send=send, until=until, timeout_s=5)
    return sent


CONVERSATION, CREATED = Ignored("conversation.created"), SessionCreated(session_id="s")


@pytest.mark.parametrize("name", ["vllm", "localai", "speaches"])
def test_another_dialect_is_said_before_anything_is_sent(name: str) -> None:
    """By its greeting."""
    endpoint = resolve(EndpointSettings(model="m"), "ws://h", None)
    with pytest.raises(OtherDialectError) as caught:
        run(greet(endpoint, SessionCreated(looks_like=name), SessionUpdated()))
    assert caught.value.dialect == name


def test_a_conversation_alone_is_that_of_nvidia() -> None:
    """Elsewhere a session comes with it."""
    endpoint = resolve(EndpointSettings(model="m"), "ws://h", None)
    assert run(greet(endpoint, CONVERSATION, CREATED, SessionUpdated()))
    with pytest.raises(OtherDialectError) as caught:
        run(greet(endpoint, CONVERSATION))
    assert caught.value.dialect == "nvidia"


@pytest.mark.parametrize("greeting", [[SessionCreated(looks_like="localai")], [CONVERSATION, CREATED]])
def test_conversations_stay_in_openais_dialect(greeting: list[ServerEvent]) -> None:
    """Listened to or not: the other dialect has none."""
    for options in ({"conversation": True}, {"session_type": "realtime"}):
        endpoint = resolve(EndpointSettings(model="m"), "ws://h", None, **options)  # type: ignore[arg-type]
        assert run(greet(endpoint, *greeting, SessionUpdated()))


@pytest.mark.parametrize("name", ["sglang", "localai"])
def test_who_names_a_dialect_knows_better(name: str) -> None:
    """Whatever the greeting looks like."""
    endpoint = resolve(EndpointSettings(model="m", dialect=name), "ws://h", None)
    assert run(greet(endpoint, SessionCreated(looks_like="speaches"), SessionUpdated()))
