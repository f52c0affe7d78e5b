"""Client messages: decoded, or rejected with OpenAI's error codes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.protocol.openai.encode import MAX_APPEND_BYTES
from rt_cli.server.session import wire


@pytest.mark.parametrize(
    ("message", "code"),
    [
        pytest.param("{", "invalid_json", id="broken"),
        pytest.param('{"type":' * 100_000, "invalid_json", id="deep"),
        pytest.param('"\ud800"', "invalid_json", id="lone surrogate"),
        pytest.param("[]", "invalid_event", id="no object"),
        pytest.param(b"\x00\x01", "invalid_event", id="binary"),
    ],
)
def test_no_event(message: str | bytes, code: str) -> None:
    """A message that is no event is rejected with a specific code."""
    with pytest.raises(wire.Rejected) as refusal:
        wire.decode(message)

    assert code == refusal.value.code


@given(st.text() | st.binary())
def test_decode_any_message(message: str | bytes) -> None:
    """Any message is an event or raises Rejected."""
    try:
        event: object = wire.decode(message)
    except wire.Rejected as refusal:
        event = refusal

    assert isinstance(event, wire.ClientEvent | wire.Rejected)


@given(st.binary().filter(lambda data: len(data) % 2 == 0))
def test_audio(pcm: bytes) -> None:
    """Base64 of whole samples is valid."""
    assert pcm == wire.decode_audio(base64.b64encode(pcm).decode())


@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(None, id="missing"),
        pytest.param("AAA", id="padding"),
        pytest.param("!!!!", id="alphabet"),
        pytest.param("ü===", id="not ascii"),
        pytest.param("AA==", id="odd"),
        pytest.param(base64.b64encode(bytes(MAX_APPEND_BYTES + 2)).decode(), id="too long"),
    ],
)
def test_no_audio(audio: object) -> None:
    """Other values are rejected, and the error names the field."""
    with pytest.raises(wire.Rejected) as refusal:
        wire.decode_audio(audio)

    assert (refusal.value.code, refusal.value.param) == ("invalid_value", "audio")


@pytest.mark.parametrize(
    ("event_id", "echoed"), [("mine", "mine"), (None, None), (7, None), ("x" * 513, None)], ids=str
)
def test_event_id_is_echoed(event_id: object, echoed: str | None) -> None:
    """An error has the id of the client event, if there is one."""
    assert echoed == wire.error(wire.Rejected("code", "message"), event_id)["error"]["event_id"]
