"""Fields of session.update, and the errors for invalid fields."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import BaseModel
from openai.types.realtime import (
    RealtimeSessionCreateRequest,
    RealtimeTranscriptionSessionCreateRequest,
    SessionUpdatedEvent,
)
from pydantic import TypeAdapter

from rt_cli.server.session.config import SEMANTIC_VAD, SERVER_VAD, SessionConfig, apply_update
from rt_cli.server.session.wire import Rejected

START = SessionConfig("transcription")
TALK = SessionConfig("realtime")
ORACLE = TypeAdapter(SessionUpdatedEvent)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "audio", "input", "rate"]), inner)
    ),
    max_leaves=12,
)


def update(config: SessionConfig = START, **audio_input: Any) -> SessionConfig:
    """Update the input of a session."""
    return apply_update(config, {"type": "transcription", "audio": {"input": audio_input}})


def converse(config: SessionConfig = TALK, **fields: Any) -> SessionConfig:
    """Update a conversation session."""
    return apply_update(config, {"type": "realtime", **fields})


def check_description(config: SessionConfig) -> None:
    """The session object is valid in OpenAI's own types, strictly, without further fields."""
    session = {name: value for name, value in config.describe().items() if name != "object"}
    event = {"type": "session.updated", "event_id": "e", "session": session}
    shown = ORACLE.validate_python(event, strict=True).session
    expected = RealtimeSessionCreateRequest if config.type == "realtime" else RealtimeTranscriptionSessionCreateRequest
    assert isinstance(shown, expected)
    no_extras(shown)


def no_extras(model: BaseModel) -> None:
    """No field is unknown to OpenAI's types."""
    assert not model.model_extra
    for name in model.model_fields_set:
        value = getattr(model, name)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, BaseModel):
                no_extras(inner)


def test_absent_fields_stay() -> None:
    """An update changes only its own fields."""
    first = update(transcription={"model": "a", "language": "en"}, turn_detection=None)
    second = update(first, transcription={"model": "b"})

    assert second.transcription == {"model": "b", "language": "en"}
    assert second.turn_detection is None


def test_null_is_the_default_everywhere() -> None:
    """``null`` is valid in all fields, as clients with Python types send it."""
    dumped = RealtimeSessionCreateRequest(type="realtime", instructions="Be brief.").model_dump()
    assert converse(**{name: value for name, value in dumped.items() if name != "type"}).replies["instructions"]

    changed = update(
        format={"type": "audio/pcmu"},
        turn_detection={"type": "server_vad", "threshold": 0.9, "silence_duration_ms": 900},
    )
    back = update(changed, format=None, turn_detection={"threshold": None, "silence_duration_ms": None})
    assert (back.input_format, back.rate_hz) == ("pcm", START.rate_hz)
    assert back.turn_detection == START.turn_detection


def test_null_turns_transcription_off() -> None:
    """``null`` removes the transcription."""
    assert update(update(transcription={"model": "a"}), transcription=None).transcription is None


def test_server_vad_has_all_its_numbers() -> None:
    """After null, fields that are missing in the update get their defaults."""
    config = update(update(turn_detection=None), turn_detection={"type": "server_vad", "threshold": 0.8})

    assert config.turn_detection == {**SERVER_VAD, "threshold": 0.8}


def test_description_is_what_was_set() -> None:
    """The session object shows the effective configuration."""
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
        "include": None,
    }


def test_defaults_of_a_conversation() -> None:
    """The session object shows every effective field with its default."""
    assert TALK.describe() == {
        "object": "realtime.session",
        "type": "realtime",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {
                    **SERVER_VAD,
                    "create_response": True,
                    "interrupt_response": True,
                    "idle_timeout_ms": None,
                },
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "alloy", "speed": 1.0},
        },
        "include": None,
        "output_modalities": ["audio"],
        "instructions": "",
        "prompt": None,
        "max_output_tokens": "inf",
        "tools": [],
        "tool_choice": "auto",
        "truncation": "auto",
        "tracing": None,
    }


def test_reply_fields_merge() -> None:
    """Updates change reply settings field by field."""
    first = converse(instructions="Be kind.", audio={"output": {"voice": "any"}})
    second = converse(first, audio={"output": {"speed": 1.5, "format": {"type": "audio/pcma"}}})

    assert second.replies["instructions"] == "Be kind."
    assert second.replies["output"] == {"format": {"type": "audio/pcma"}, "voice": "any", "speed": 1.5}
    assert second.output_format == "pcma"


@pytest.mark.parametrize(
    ("name", "given_value", "cleared", "default"),
    [
        ("instructions", "Be kind.", "", ""),
        ("instructions", "Be kind.", None, ""),
        ("tools", [{"type": "function", "name": "f"}], [], []),
        ("max_output_tokens", 17, None, "inf"),
        ("prompt", {"id": "p"}, None, None),
        ("output_modalities", ["text"], None, ["audio"]),
        ("truncation", "disabled", None, "auto"),
    ],
)
def test_clearing(name: str, given_value: Any, cleared: Any, default: Any) -> None:
    """``null``, an empty string and an empty list reset the field."""
    config = converse(converse(**{name: given_value}), **{name: cleared})

    assert config.replies[name] == default
    check_description(config)


def test_clearing_hints() -> None:
    """The same for the fields of the transcription."""
    first = update(transcription={"model": "a", "language": "en", "prompt": "b", "keywords": ["c"]})

    assert update(first, transcription={"language": "", "prompt": None, "keywords": []}).transcription == {"model": "a"}


def test_turn_detection_of_another_type() -> None:
    """Another type starts with its defaults and rejects fields of the type before."""
    semantic = update(turn_detection={"type": "semantic_vad"})
    back = update(semantic, turn_detection={"type": "server_vad", "silence_duration_ms": 700})

    assert semantic.turn_detection == SEMANTIC_VAD
    assert update(semantic, turn_detection={"eagerness": "low"}).turn_detection == {**SEMANTIC_VAD, "eagerness": "low"}
    assert back.turn_detection == {**SERVER_VAD, "silence_duration_ms": 700}
    with pytest.raises(Rejected) as refusal:
        update(semantic, turn_detection={"threshold": 0.5})
    assert (refusal.value.code, refusal.value.param) == ("unknown_parameter", f"{PATH}.turn_detection.threshold")


def test_idle_timeout_belongs_to_conversations() -> None:
    """Conversations keep it, null clears it, a transcription drops it."""
    config = converse(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6_000}}})

    assert config.idle_timeout_ms == 6_000
    assert converse(config, audio={"input": {"turn_detection": {"idle_timeout_ms": None}}}).idle_timeout_ms is None
    assert update(config).idle_timeout_ms is None
    check_description(update(config))


@pytest.mark.parametrize("coding", ["pcmu", "pcma"])
def test_g711(coding: str) -> None:
    """G.711 has a fixed rate, which is not shown; PCM afterwards starts at 24 kHz."""
    config = update(update(format={"type": "audio/pcm", "rate": 16_000}), format={"type": f"audio/{coding}"})

    assert (config.input_format, config.rate_hz) == (coding, 8_000)
    assert config.describe()["audio"]["input"]["format"] == {"type": f"audio/{coding}"}
    assert update(config, format={"type": "audio/pcm"}).rate_hz == 24_000
    check_description(config)


def test_languages_of_the_recogniser() -> None:
    """Only languages of the recogniser are accepted."""
    session = {"type": "transcription", "audio": {"input": {"transcription": {"language": "de-AT"}}}}

    for languages in (frozenset({"de", "fr"}), None):
        assert apply_update(START, session, languages=languages).transcription == {"language": "de-AT"}
    with pytest.raises(Rejected) as refusal:
        apply_update(START, session, languages=frozenset({"en", "fr"}))
    assert "en, fr" in refusal.value.message


def test_fixed_voice() -> None:
    """A fixed voice cannot change; the same voice is accepted."""
    config = converse(audio={"output": {"voice": "one"}})

    assert apply_update(config, {"type": "realtime", "audio": {"output": {"voice": "one"}}}, voice_fixed=True) == config
    with pytest.raises(Rejected) as refusal:
        apply_update(config, {"type": "realtime", "audio": {"output": {"voice": {"id": "two"}}}}, voice_fixed=True)
    assert (refusal.value.code, refusal.value.param) == ("cannot_update_voice", "session.audio.output.voice")


def test_tracing_is_set_once() -> None:
    """Tracing cannot change; the same value is accepted."""
    config = converse(converse(tracing="auto"), tracing="auto")
    with pytest.raises(Rejected) as refusal:
        converse(config, tracing=None)
    assert refusal.value.param == "session.tracing"


def test_the_model_stays() -> None:
    """The first model stays; the other fields of an update with another model are applied."""
    assert "model" not in converse().replies
    config = converse(converse(model="a"), model="b", instructions="Be brief.")
    assert (config.replies["model"], config.replies["instructions"]) == ("a", "Be brief.")
    assert converse(config, model=None).replies["model"] == "a"


PATH = "session.audio.input"
OUT = "session.audio.output"


@pytest.mark.parametrize(
    ("audio_input", "code", "param"),
    [
        ({"format": {"type": "audio/pcm", "rate": 7999}}, "integer_below_min_value", f"{PATH}.format.rate"),
        ({"format": {"type": "audio/pcm", "rate": 96_000}}, "integer_above_max_value", f"{PATH}.format.rate"),
        ({"format": {"type": "audio/pcm", "rate": True}}, "invalid_type", f"{PATH}.format.rate"),
        ({"format": {"type": "audio/opus"}}, "invalid_value", f"{PATH}.format.type"),
        ({"format": {"type": "audio/pcmu", "rate": 8000}}, "unknown_parameter", f"{PATH}.format.rate"),
        ({"format": {"rate": 10**5000}}, "integer_above_max_value", f"{PATH}.format.rate"),
        ({"format": "pcm16"}, "invalid_type", f"{PATH}.format"),
        ({"turn_detection": {"type": "magic_vad"}}, "invalid_value", f"{PATH}.turn_detection.type"),
        ({"turn_detection": {"type": ["server_vad"]}}, "invalid_value", f"{PATH}.turn_detection.type"),
        ({"turn_detection": {"type": "semantic_vad", "eagerness": "very"}}, "invalid_value", None),
        ({"turn_detection": {"threshold": 1.5}}, "decimal_above_max_value", f"{PATH}.turn_detection.threshold"),
        ({"turn_detection": {"silence_duration_ms": -1}}, "integer_below_min_value", None),
        ({"turn_detection": {"silence_duration_ms": 0.5}}, "invalid_type", None),
        ({"turn_detection": {"idle_timeout_ms": 5000}}, "invalid_value", None),
        ({"turn_detection": {"type": "server_vad", "eager": 1}}, "unknown_parameter", f"{PATH}.turn_detection.eager"),
        ({"transcription": {"language": "de"}}, "invalid_value", f"{PATH}.transcription.language"),
        ({"transcription": {"languages": ["en", "fr"]}}, "invalid_value", f"{PATH}.transcription.languages[1]"),
        ({"transcription": {"keywords": ["<b>"]}}, "invalid_value", f"{PATH}.transcription.keywords[0]"),
        ({"noise_reduction": {"type": "magic"}}, "invalid_value", f"{PATH}.noise_reduction.type"),
        ({"input_audio_format": "pcm16"}, "unknown_parameter", f"{PATH}.input_audio_format"),
    ],
)
def test_refused_input(audio_input: dict[str, Any], code: str, param: str | None) -> None:
    """The error has OpenAI's code and the path of the field."""
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
        ({"type": "realtime", "modalities": ["text"]}, "unknown_parameter", "session.modalities"),
        ({"type": "realtime", "output_modalities": ["text", "audio"]}, "invalid_value", "session.output_modalities"),
        ({"type": "realtime", "output_modalities": []}, "invalid_value", "session.output_modalities"),
        ({"type": "realtime", "max_output_tokens": 0}, "integer_below_min_value", "session.max_output_tokens"),
        ({"type": "realtime", "max_output_tokens": 4097}, "integer_above_max_value", "session.max_output_tokens"),
        ({"type": "realtime", "max_output_tokens": "all"}, "invalid_value", "session.max_output_tokens"),
        ({"type": "realtime", "audio": {"output": {"speed": 1.6}}}, "decimal_above_max_value", OUT + ".speed"),
        ({"type": "realtime", "audio": {"output": {"voice": ""}}}, "string_below_min_length", OUT + ".voice"),
        ({"type": "realtime", "audio": {"output": {"voice": {}}}}, "missing_required_parameter", OUT + ".voice.id"),
        (
            {"type": "realtime", "audio": {"output": {"format": {"type": "audio/pcm", "rate": 16_000}}}},
            "integer_below_min_value",
            OUT + ".format.rate",
        ),
        ({"type": "realtime", "tools": [{"name": "f"}]}, "missing_required_parameter", "session.tools[0].type"),
        ({"type": "realtime", "tools": [{"type": "mcp"}]}, "invalid_value", "session.tools[0].type"),
        (
            {"type": "realtime", "tools": [{"type": "function", "name": "a b"}]},
            "invalid_value",
            "session.tools[0].name",
        ),
        (
            {"type": "realtime", "tools": [{"type": "function", "name": "f", "parameters": "x"}]},
            "invalid_type",
            "session.tools[0].parameters",
        ),
        ({"type": "realtime", "tool_choice": "perhaps"}, "invalid_value", "session.tool_choice"),
        (
            {"type": "realtime", "tool_choice": {"type": "function"}},
            "missing_required_parameter",
            "session.tool_choice.name",
        ),
        ({"type": "realtime", "tracing": "off"}, "invalid_value", "session.tracing"),
        ({"type": "realtime", "include": ["everything"]}, "invalid_value", "session.include[0]"),
        ({"type": "transcription", "audio": []}, "invalid_type", "session.audio"),
    ],
)
def test_refused_session(session: object, code: str, param: str) -> None:
    """The same for fields of the session."""
    with pytest.raises(Rejected) as refusal:
        apply_update(START, session)

    assert (code, param) == (refusal.value.code, refusal.value.param)


@given(JSON)
def test_any_json(session: object) -> None:
    """Any JSON gives a configuration or Rejected."""
    try:
        config = apply_update(START, session)
    except Rejected:
        return
    assert 8_000 <= config.rate_hz <= 48_000


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


NAMES = st.sampled_from(["f", "look_up", "go-on"])
SWITCHES = {"create_response": st.booleans(), "interrupt_response": st.booleans()}
SEMANTIC = some(eagerness=st.sampled_from(["low", "medium", "high", "auto"]), **SWITCHES).map(
    lambda given_fields: {"type": "semantic_vad", **given_fields}
)


def server_vad(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Server VAD with any of its fields."""
    numbers = some(
        threshold=st.floats(0, 1),
        prefix_padding_ms=st.integers(0, 5_000),
        silence_duration_ms=st.integers(0, 60_000),
        **SWITCHES,
        **more,
    )
    return numbers.map(lambda given_fields: {"type": "server_vad", **given_fields})


G711 = st.sampled_from([{"type": "audio/pcmu"}, {"type": "audio/pcma"}])
INPUT: dict[str, st.SearchStrategy[Any]] = {
    "format": st.sampled_from([{"type": "audio/pcm", "rate": 24_000}, {"type": "audio/pcm"}]) | G711,
    "transcription": st.none()
    | some(
        model=st.text(max_size=8),
        language=st.sampled_from([None, "", "en", "en-GB"]),
        languages=st.lists(st.just("en")),
        keywords=st.lists(st.sampled_from(["a", "b"])),
        prompt=st.none() | st.text(max_size=8),
        delay=st.sampled_from([None, "low", "xhigh"]),
    ),
    "noise_reduction": st.none() | some(type=st.sampled_from(["near_field", "far_field"]), strength=st.floats(0, 1)),
}
HEARD = some(**INPUT, turn_detection=st.none() | SEMANTIC | server_vad())
TALKED = some(
    **INPUT,
    turn_detection=st.none() | SEMANTIC | server_vad(idle_timeout_ms=st.none() | st.integers(5_000, 30_000)),
)
OUTPUTS = some(
    format=st.just({"type": "audio/pcm"}) | G711,
    voice=st.none() | NAMES | st.fixed_dictionaries({"id": NAMES}),
    speed=st.floats(0.25, 1.5),
)
TOOLS = st.fixed_dictionaries(
    {"type": st.just("function"), "name": NAMES},
    optional={"description": st.text(max_size=8), "parameters": st.dictionaries(NAMES, JSON, max_size=2)},
)
INCLUDES = st.none() | st.lists(st.just("item.input_audio_transcription.logprobs"), max_size=2)
SESSIONS = st.fixed_dictionaries(
    {"type": st.just("transcription")}, optional={"audio": some(input=HEARD), "include": INCLUDES}
) | st.fixed_dictionaries(
    {"type": st.just("realtime")},
    optional={
        "audio": some(input=TALKED, output=OUTPUTS),
        "include": INCLUDES,
        "model": st.just("gpt-realtime"),
        "output_modalities": st.sampled_from([["audio"], ["text"], None]),
        "instructions": st.text(max_size=8) | st.none(),
        "prompt": st.none()
        | st.fixed_dictionaries(
            {"id": NAMES},
            optional={
                "version": st.none() | NAMES,
                "variables": st.dictionaries(
                    NAMES, NAMES | st.fixed_dictionaries({"type": st.just("input_text"), "text": NAMES})
                ),
            },
        ),
        "max_output_tokens": st.none() | st.just("inf") | st.integers(1, 4_096),
        "tools": st.none() | st.lists(TOOLS, max_size=3),
        "tool_choice": st.none()
        | st.sampled_from(["auto", "none", "required"])
        | st.fixed_dictionaries({"type": st.just("function"), "name": NAMES}),
        "parallel_tool_calls": st.none() | st.booleans(),
        "reasoning": st.none() | some(effort=st.sampled_from([None, "minimal", "xhigh"])),
        "truncation": st.sampled_from([None, "auto", "disabled"])
        | st.fixed_dictionaries(
            {"type": st.just("retention_ratio"), "retention_ratio": st.floats(0, 1)},
            optional={"token_limits": st.none() | some(post_instructions=st.integers(0, 1_000_000))},
        ),
        "tracing": st.just("auto"),
    },
)


@given(st.lists(SESSIONS, max_size=4))
def test_any_accepted_update_is_valid_at_openai(sessions: list[dict[str, Any]]) -> None:
    """After any valid updates the session object is valid in OpenAI's types, and applying it changes nothing."""
    config = TALK
    for session in sessions:
        config = apply_update(config, session)
        check_description(config)
    shown = config.describe()
    again = apply_update(config, {name: value for name, value in shown.items() if name != "object"})
    assert again.describe() == shown
