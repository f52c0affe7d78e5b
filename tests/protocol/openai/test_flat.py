"""The flat (beta) shape of a session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.dialect import ConversationWish
from rt_cli.protocol.openai.flat import FlatShape, flat_session
from rt_cli.protocol.openai.session import conversation_session, listening_session, transcription_session
from rt_cli.settings import SessionSettings

DETECTION = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}


def flat(shape: FlatShape, turns: Any = "server_vad", **settings: Any) -> dict[str, object]:
    """A flat session that transcribes."""
    return flat_session(transcription_session, SessionSettings(**settings), "m", turns, 16_000, shape)


def test_the_usual_shape() -> None:
    """The names of the beta."""
    assert flat(FlatShape(), language="en", noise_reduction="near_field", confidence=True) == {
        "modalities": ["text"],
        "input_audio_format": "pcm16",
        "input_audio_transcription": {"model": "m", "language": "en"},
        "input_audio_noise_reduction": {"type": "near_field"},
        "turn_detection": DETECTION,
        "include": ["item.input_audio_transcription.logprobs"],
    }


def test_what_providers_change() -> None:
    """Qwen's rate and encoding; a transcription without a model; Speaches' few fields."""
    shape = FlatShape(encoding="pcm", rate_field="sample_rate", model=False, turn_fields=frozenset({"type"}))
    assert flat(shape) == {
        "modalities": ["text"],
        "input_audio_format": "pcm",
        "sample_rate": 16_000,
        "input_audio_transcription": {},
        "turn_detection": {"type": "server_vad"},
    }
    assert flat(FlatShape(encoding=None, modalities=False)).keys() == {"input_audio_transcription", "turn_detection"}


def test_own_turns_are_an_explicit_null() -> None:
    """Without the field the default is on."""
    assert flat(FlatShape(), "client")["turn_detection"] is None


def test_a_conversation_that_is_listened_to() -> None:
    """Without replies."""
    session = flat_session(listening_session, SessionSettings(), "m", "server_vad", 24_000, FlatShape())
    assert session["turn_detection"] == {**DETECTION, "create_response": False, "interrupt_response": False}
    assert session["modalities"] == ["text"]


def test_overrides_have_the_paths_of_the_flat_shape() -> None:
    """They come last; what rt sets itself is refused."""
    assert flat(FlatShape(), extra=(("turn_detection.threshold", 0.9),))["turn_detection"] == {
        **DETECTION,
        "threshold": 0.9,
    }
    with pytest.raises(UsageError, match="--turn-detection"):
        flat(FlatShape(), extra=(("turn_detection.type", "x"),))


WISH = ConversationWish("whisper-1", voice="Ava", instructions="Be kind.", tools=({"type": "function", "name": "t"},))


def test_a_conversation() -> None:
    """Sound comes with its words; voice, instructions and tools have the names of the beta."""
    assert flat_session(conversation_session, SessionSettings(), WISH, "server_vad", 24_000, FlatShape()) == {
        "modalities": ["text", "audio"],
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "voice": "Ava",
        "instructions": "Be kind.",
        "tools": [{"type": "function", "name": "t"}],
        "input_audio_transcription": {"model": "whisper-1"},
        "turn_detection": {**DETECTION, "create_response": True, "interrupt_response": False},
    }


def test_a_conversation_in_writing() -> None:
    """No format of a sound that does not come."""
    session = flat_session(
        conversation_session, SessionSettings(), replace(WISH, spoken=False), "client", 24_000, FlatShape()
    )
    assert session["modalities"] == ["text"]
    assert "output_audio_format" not in session


def test_what_providers_change_in_a_conversation() -> None:
    """Qwen's formats and tools."""
    shape = FlatShape(encoding="pcm", reply_encoding="pcm", nested_tools=True)
    session = flat_session(conversation_session, SessionSettings(), WISH, "client", 16_000, shape)
    assert (session["input_audio_format"], session["output_audio_format"]) == ("pcm", "pcm")
    assert session["tools"] == [{"type": "function", "function": {"name": "t"}}]
