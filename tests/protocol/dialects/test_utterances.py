"""Endpoints without ids, whose results time each word: what is said to them, and what their messages mean."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.protocol.dialects import DIALECTS
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.protocol.server_events import (
    Committed,
    EffectiveSession,
    ErrorEvent,
    ErrorInfo,
    Ignored,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    StreamEnded,
    TranscriptCompleted,
    TranscriptSnapshot,
)
from rt_cli.settings import EndpointSettings, SessionSettings

TRANSCRIPTION = "conversation.item.input_audio_transcription"


def codec_of(name: str, settings: SessionSettings | None = None, model: str = "m") -> Any:
    """A codec of a dialect."""
    dialect = DIALECTS[name]
    return dialect.codec(dialect.request(settings or SessionSettings(), model, None, embedded=False))


def hear(codec: Any, *messages: dict[str, Any]) -> list[ServerEvent]:
    """The events of messages."""
    return [event for message in messages for event in codec.decode(json.dumps(message))]


def riva(text: str, *times: tuple[float, float], last: bool = False) -> dict[str, Any]:
    """A final result of NVIDIA."""
    words = [{"word": "w", "start_time": start, "end_time": end} for start, end in times]
    fields = {"item_id": "all", "transcript": text, "words_info": {"words": words}, "is_last_result": last}
    return {"type": f"{TRANSCRIPTION}.completed", **fields}


def inworld(text: str, *words: dict[str, Any], final: bool = True) -> dict[str, Any]:
    """A result of Inworld."""
    return {"result": {"transcription": {"transcript": text, "isFinal": final, "wordTimestamps": list(words)}}}


def turn(number: int, text: str, start_ms: int, end_ms: int) -> list[ServerEvent]:
    """The end of an utterance."""
    item = f"utterance_{number}"
    return [
        SpeechStarted(item, start_ms),
        SpeechStopped(item, end_ms, after_silence=False),
        Committed(item),
        TranscriptCompleted(item, text),
    ]


def test_the_results_of_nvidia() -> None:
    """One item id for all of them, and interim results that replace each other."""
    codec = codec_of("nvidia")
    delta = {"type": f"{TRANSCRIPTION}.delta", "item_id": "all", "delta": "one"}
    assert hear(codec, delta, {**delta, "delta": "one two"}) == [
        TranscriptSnapshot("utterance_1", "one"),
        TranscriptSnapshot("utterance_1", "one two"),
    ]
    assert hear(codec, riva("One two.", (40, 300.4), (320, 900.2))) == turn(1, "One two.", 40, 901)
    assert hear(codec, riva("")) == []  # silence
    assert hear(codec, riva("three", (1000, 1200))) == turn(2, "three", 1000, 1200)
    last = [Committed("utterance_3"), TranscriptCompleted("utterance_3", "four"), StreamEnded()]
    assert hear(codec, riva("four", last=True)) == last
    assert hear(codec, riva("", last=True)) == [StreamEnded()]


def test_the_session_of_nvidia() -> None:
    """The greeting has another name, the rate another place; errors have many types."""
    codec = codec_of("nvidia")
    assert hear(
        codec,
        {"type": "conversation.created", "conversation": {"id": "c"}},
        {"type": "transcription_session.updated", "session": {"input_audio_params": {"sample_rate_hz": 8000}}},
        {"type": "transcription.error", "error": {"message": "out of memory"}},
        {"type": "conversation.item.created"},
    ) == [
        SessionCreated(None, "c"),
        SessionUpdated(effective=EffectiveSession(rate_hz=8000)),
        ErrorEvent(ErrorInfo(message="out of memory")),
        Ignored("conversation.item.created"),
    ]


def test_what_is_said_to_nvidia() -> None:
    """Every chunk is committed; the end is said."""
    codec = codec_of("nvidia", SessionSettings(language="de", keyterm=("Zoë",), silence_ms=700), model="")
    (update,) = map(json.loads, codec.session_messages("u"))
    assert update["type"] == "transcription_session.update"
    session = update["session"]
    assert session["input_audio_transcription"] == {"language": "de"}
    assert session["endpointing_config"] == {"stop_history": 700}
    assert session["word_boosting"]["word_boosting_list"][0]["phrases"] == ["Zoë"]
    sent = [json.loads(message) for message in codec.audio_messages(b"\1\2\3\4", 2)]
    commit = {"type": "input_audio_buffer.commit"}
    append = [
        {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()} for pcm in (b"\1\2", b"\3\4")
    ]
    assert sent == [append[0], commit, append[1], commit]
    assert json.loads(codec.end_message("e")) == {"type": "input_audio_buffer.done"}


def test_the_results_of_inworld() -> None:
    """Times in milliseconds, or in seconds; what is charged ends the stream that was closed."""
    codec = codec_of("inworld")
    started = {"result": {"speechStarted": {"startTimeMs": 120, "confidence": 0.7}}}
    usage = {"result": {"usage": {"transcribedAudioMs": 3000}}}
    assert hear(codec, started, started, inworld("one", final=False), usage) == [
        SpeechStarted("utterance_1", 120),
        Ignored("result"),
        TranscriptSnapshot("utterance_1", "one"),
        Ignored("result"),
    ]
    words = {"word": "one", "startTimeMs": 150, "endTimeMs": 600}
    assert hear(codec, inworld("one", words)) == turn(1, "one", 150, 600)
    words = {"word": "two", "startTime": 1.5, "endTime": 2.25}
    assert hear(codec, inworld("two", words), {"result": {"speechStopped": {}}}) == [
        *turn(2, "two", 1500, 2250),
        Ignored("result"),
    ]
    codec.end_message("e")
    assert hear(codec, usage) == [StreamEnded()]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": 3, "message": "no"}, ErrorInfo(code="invalid_argument", message="no", param="session")),
        ({"code": 16, "message": "no"}, ErrorInfo(code="invalid_api_key", message="no")),
        ({"code": 99}, ErrorInfo(code="99")),
        ({"message": "no"}, ErrorInfo(message="no")),
    ],
)
def test_the_errors_of_inworld(error: dict[str, Any], expected: ErrorInfo) -> None:
    """Numbers of gRPC, at the top or in the result."""
    codec = codec_of("inworld")
    assert hear(codec, {"error": error}, {"result": {"error": error}}) == [ErrorEvent(expected)] * 2


def test_the_key_of_inworld_goes_to_its_host_alone() -> None:
    """Basic, as it is; the path is completed."""
    settings = EndpointSettings(url="https://api.inworld.ai")
    endpoint = resolve(settings, "https://api.inworld.ai", "a2V5")
    assert endpoint.url == "wss://api.inworld.ai/stt/v1/transcribe:streamBidirectional"
    assert endpoint.headers == (("Authorization", "Basic a2V5"),)
    assert endpoint.dialect is DIALECTS["inworld"]
    again = resolve(settings, endpoint.url, None)
    assert again.url == endpoint.url


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, st.sampled_from(["start_time", "startTimeMs", "startTime"]), JSON)
def test_any_value_in_any_place_decodes(value: object, name: str, other: object) -> None:
    """Nothing that an endpoint sends raises."""
    word = {name: value, name.replace("start", "end"): other}
    for message in (
        riva("x") | {"words_info": {"words": [word, value]}},
        riva("x") | {"words_info": value},
        {"type": f"{TRANSCRIPTION}.completed", "transcript": value, "is_last_result": other},
        {"type": f"{TRANSCRIPTION}.delta", "delta": value},
        {"type": "conversation.created", "conversation": value},
        {"type": "transcription_session.updated", "session": {"input_audio_params": value}},
        {"type": "x.error", "error": value},
        inworld("x", word),
        {"result": {"transcription": value, "speechStarted": other, "usage": value}},
        {"error": value, "result": other},
        value,
    ):
        for codec in (codec_of("nvidia"), codec_of("inworld")):
            codec.decode(json.dumps(message))
