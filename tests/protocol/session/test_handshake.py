"""The handshake and what the endpoint answers: each answer with what follows from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from rt_cli.protocol.dialects.dialect import SessionRequest
from rt_cli.protocol.openai.decode import decode
from rt_cli.protocol.server_events import ErrorEvent, ErrorInfo, Ignored, SessionCreated, SessionUpdated
from rt_cli.protocol.session.handshake import UPDATE_ID, Handshake
from rt_cli.protocol.session.readback import read_back
from tests.protocol.session.run import Run

if TYPE_CHECKING:
    from rt_cli.settings import TurnDetection


def answer(turns: TurnDetection, **session: object) -> Any:
    """Read an answer back; ``turns`` is what was asked for."""
    event: Any = decode(json.dumps({"type": "session.updated", "session": session}))
    return read_back(SessionRequest(turns, 24_000), event.effective)


@pytest.mark.parametrize(
    ("session", "said"),
    [
        pytest.param({}, None, id="nothing said"),
        pytest.param({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 24_000}}}}, None, id="agreed"),
        pytest.param({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}}, "16000 Hz", id="rate"),
        pytest.param({"input_audio_sampling_rate": 16_000}, "16000 Hz", id="rate, flat"),
        pytest.param({"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, "mu-law", id="format"),
        pytest.param({"input_audio_format": "g711_alaw"}, "A-law", id="format, flat"),
        pytest.param({"input_audio_format": "pcm16"}, None, id="format agreed, flat"),
        pytest.param({"audio": {"input": {"transcription": None}}}, "transcription off", id="transcription null"),
        pytest.param({"input_audio_transcription": None}, "transcription off", id="transcription null, flat"),
        pytest.param({"audio": {"input": {"transcription": False}}}, "transcription off", id="transcription false"),
        pytest.param({"input_audio_transcription": {"model": "m"}}, None, id="transcription, flat"),
        pytest.param({"audio": {"input": {"transcription": {}}}}, None, id="transcription without a model"),
        pytest.param({"input_audio_sample_rate": "16000"}, "16000 Hz", id="rate as text"),
        pytest.param({"input_audio_sample_rate": "fast"}, None, id="rate that is no number"),
    ],
)
def test_the_session_is_read_back(session: dict[str, object], said: str | None) -> None:
    """What the answer lacks says nothing; null says no."""
    error = answer("client", **session).error
    assert (error is None) is (said is None)
    if error is not None:
        assert said in str(error)
        assert error.exit_code == 6


VAD = {"type": "server_vad", "silence_duration_ms": 800}


@pytest.mark.parametrize("shape", ["nested", "flat"])
def test_turn_detection_is_read_back(shape: str) -> None:
    """On although it was to be off: the endpoint makes the turns. Off although it was to be on: nobody would."""

    def said(value: object) -> dict[str, object]:
        return {"audio": {"input": {"turn_detection": value}}} if shape == "nested" else {"turn_detection": value}

    assert answer("client", **said(VAD)).endpoint_makes_turns
    assert answer("client", **said(VAD)).silence_ms == 800
    assert not answer("client", **said(None)).endpoint_makes_turns
    assert not answer("server_vad", **said(VAD)).endpoint_makes_turns
    assert "turn detection off" in str(answer("server_vad", **said(None)).error)
    assert "turn detection off" in str(answer("server_vad", **said(value=False)).error)


@pytest.mark.parametrize(("detection", "prefix_ms"), [(VAD, None), ({**VAD, "prefix_padding_ms": 40}, 40)])
def test_prefix_padding_is_read_back(detection: dict[str, object], prefix_ms: float | None) -> None:
    """In the flat shape too."""
    assert answer("server_vad", turn_detection=detection).prefix_ms == prefix_ms
    assert answer("server_vad", audio={"input": {"turn_detection": detection}}).prefix_ms == prefix_ms


def test_what_greets_like_nvidia_may_only_be_on_its_way() -> None:
    """A conversation comes before the session elsewhere, or behind it."""
    handshake = Handshake()
    conversation = Ignored("conversation.created")
    assert handshake.receive(conversation) is None
    assert (handshake.greeted, handshake.looks_like) == (False, "nvidia")
    handshake.receive(SessionCreated())
    assert (handshake.greeted, handshake.looks_like) == (True, None)
    handshake.receive(conversation)
    assert handshake.looks_like is None


UNKNOWN = ErrorInfo(type="invalid_request_error", code="unknown_parameter", message="no such field")


@pytest.mark.parametrize(
    "error", [replace(UNKNOWN, event_id=UPDATE_ID), replace(UNKNOWN, param="session.audio.input.format")]
)
def test_a_late_error_answers_the_update(error: ErrorInfo) -> None:
    """Where audio is sent without an answer, an error about the session is the answer; behind one it is a warning."""
    waiting, answered = Handshake(), Handshake()
    for handshake in (waiting, answered):
        assert handshake.receive(SessionCreated()) is None
        handshake.configured = True
    assert answered.receive(SessionUpdated()) is None

    refusal = waiting.receive(ErrorEvent(error))
    assert refusal is not None
    assert refusal.exit_code == 6
    assert waiting.receive(ErrorEvent(UNKNOWN)) is None  # about audio
    assert answered.receive(ErrorEvent(error)) is None


def test_an_error_about_the_session_refuses_no_audio() -> None:
    """It is a warning, however often it comes."""
    run = Run()
    for _ in range(10):
        run.send(100)
        run.receive(ErrorEvent(replace(UNKNOWN, event_id=UPDATE_ID)))
        run.acknowledge()
        run.wait(0.5)

    assert not run.holes
    assert not run.ends
