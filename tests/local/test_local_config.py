"""What a session.update may say, and what a refusal names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.local.config import SERVER_VAD, SessionConfig, updated
from rt_cli.local.wire import Rejected

START = SessionConfig("transcription")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "audio", "input", "rate"]), inner)
    ),
    max_leaves=12,
)


def update(config: SessionConfig = START, **audio_input: Any) -> SessionConfig:
    """Update the input of a session."""
    return updated(config, {"type": "transcription", "audio": {"input": audio_input}})


def test_absent_fields_stay() -> None:
    """An update changes what it names and nothing else."""
    first = update(transcription={"model": "a", "language": "en"}, turn_detection=None)
    second = update(first, transcription={"model": "b"})

    assert second.transcription == {"model": "b", "language": "en"}
    assert second.turn_detection is None


def test_null_turns_transcription_off() -> None:
    """Null clears."""
    assert update(update(transcription={"model": "a"}), transcription=None).transcription is None


def test_server_vad_has_all_its_numbers() -> None:
    """What an update leaves out of a turn detection that was off has its default."""
    config = update(update(turn_detection=None), turn_detection={"type": "server_vad", "threshold": 0.8})

    assert config.turn_detection == {**SERVER_VAD, "threshold": 0.8}


def test_description_is_what_was_set() -> None:
    """The effective configuration is shown in full."""
    config = update(format={"type": "audio/pcm", "rate": 16_000}, noise_reduction={"type": "near_field"})

    assert config.describe() == {
        "object": "realtime.transcription_session",
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 16_000},
                "transcription": None,
                "noise_reduction": {"type": "near_field"},
                "turn_detection": SERVER_VAD,
            }
        },
    }


def test_reply_fields_belong_to_conversations() -> None:
    """A conversation may be configured for replies, and is shown what it set."""
    session = {"type": "realtime", "instructions": "Be kind.", "audio": {"output": {"voice": "any"}}}
    described = updated(START, session).describe()

    assert described["instructions"] == "Be kind."
    assert described["audio"]["output"] == {"voice": "any"}


PATH = "session.audio.input"


@pytest.mark.parametrize(
    ("audio_input", "code", "param"),
    [
        ({"format": {"type": "audio/pcm", "rate": 7999}}, "integer_below_min_value", f"{PATH}.format.rate"),
        ({"format": {"type": "audio/pcm", "rate": 96_000}}, "integer_above_max_value", f"{PATH}.format.rate"),
        ({"format": {"type": "audio/pcm", "rate": True}}, "invalid_type", f"{PATH}.format.rate"),
        ({"format": {"type": "audio/pcmu"}}, "invalid_value", f"{PATH}.format.type"),
        ({"format": "pcm16"}, "invalid_type", f"{PATH}.format"),
        ({"turn_detection": {"type": "semantic_vad"}}, "invalid_value", f"{PATH}.turn_detection.type"),
        ({"turn_detection": {"threshold": 1.5}}, "decimal_above_max_value", f"{PATH}.turn_detection.threshold"),
        ({"turn_detection": {"silence_duration_ms": -1}}, "integer_below_min_value", None),
        ({"turn_detection": {"silence_duration_ms": 0.5}}, "invalid_type", None),
        ({"turn_detection": {"idle_timeout_ms": 5000}}, "invalid_value", None),
        ({"turn_detection": {"type": "server_vad", "eager": 1}}, "unknown_parameter", f"{PATH}.turn_detection.eager"),
        ({"transcription": {"language": "de"}}, "invalid_value", f"{PATH}.transcription.language"),
        ({"transcription": {"languages": ["en", "fr"]}}, "invalid_value", f"{PATH}.transcription.languages[1]"),
        ({"noise_reduction": {"type": "magic"}}, "invalid_value", f"{PATH}.noise_reduction.type"),
        ({"input_audio_format": "pcm16"}, "unknown_parameter", f"{PATH}.input_audio_format"),
    ],
)
def test_refused_input(audio_input: dict[str, Any], code: str, param: str | None) -> None:
    """A wrong value is refused with OpenAI's code, and its path named."""
    with pytest.raises(Rejected) as refusal:
        update(**audio_input)

    assert refusal.value.code == code
    assert param in (None, refusal.value.param)


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        (None, "invalid_type", "session"),
        ({}, "missing_required_parameter", "session.type"),
        ({"type": "translation"}, "invalid_value", "session.type"),
        ({"type": "transcription", "model": "m"}, "unknown_parameter", "session.model"),
        ({"type": "transcription", "audio": {"output": {}}}, "unknown_parameter", "session.audio.output"),
        ({"type": "transcription", "audio": []}, "invalid_type", "session.audio"),
    ],
)
def test_refused_session(session: object, code: str, param: str) -> None:
    """So is a wrong session."""
    with pytest.raises(Rejected) as refusal:
        updated(START, session)

    assert (code, param) == (refusal.value.code, refusal.value.param)


@given(JSON)
def test_total(session: object) -> None:
    """Whatever JSON comes, the answer is a configuration or a refusal."""
    try:
        config = updated(START, session)
    except Rejected:
        return
    assert 8_000 <= config.rate_hz <= 48_000
