"""xAI, Azure Voice Live and Qwen: what they are asked for, and what their messages mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects import DIALECTS, Dialect
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.protocol.message import Binary
from rt_cli.protocol.message_log import shown
from rt_cli.protocol.server_events import (
    Committed,
    ErrorEvent,
    ErrorInfo,
    Ignored,
    Malformed,
    ServerEvent,
    SessionCreated,
    SpeechStarted,
    SpeechStopped,
    StreamEnded,
    TranscriptCompleted,
    TranscriptSnapshot,
)
from rt_cli.settings import EndpointSettings, SessionSettings

TRANSCRIPTION = "conversation.item.input_audio_transcription"
VAD = {"type": "server_vad", "silence_duration_ms": 500}
QUIET = {"create_response": False, "interrupt_response": False}
LISTENING = DIALECTS["xai"].for_listening(), DIALECTS["qwen"].for_listening()
XAI_LISTENING, QWEN_LISTENING = LISTENING


def session(dialect: Dialect, turns: Any = None, **settings: Any) -> dict[str, Any]:
    """The session that is asked for."""
    request = dialect.request(SessionSettings(**settings), dialect.default_model, turns, embedded=False)
    return dict(request.body)


def xai(silence_ms: int = 500) -> Any:
    """A codec of xAI's speech to text."""
    dialect = DIALECTS["xai"]
    return dialect.codec(dialect.request(SessionSettings(silence_ms=silence_ms), "", None, embedded=False))


def hear(codec: Any, *messages: dict[str, Any]) -> list[ServerEvent]:
    """The events of messages."""
    return [event for message in messages for event in codec.decode(json.dumps(message))]


def partial(text: str, start: float, duration: float, kind: str = "", words: object = ()) -> dict[str, Any]:
    """A result of xAI: an interim one, a ``chunk``, or the ``whole`` utterance."""
    marks = {"is_final": bool(kind), "speech_final": kind == "whole"}
    return {"type": "transcript.partial", "text": text, "start": start, "duration": duration, "words": words, **marks}


# -- xAI's speech to text ----------------------------------------------------------------------------------------------


def test_xai_is_asked_by_the_url_alone() -> None:
    """Key terms repeat; the threshold has another scale, so that ours is sent only where it is chosen."""
    named = EndpointSettings(url="https://api.x.ai")
    endpoint = resolve(named, "https://api.x.ai", None)
    settings = SessionSettings(language="de", keyterm=("rt", "x y"), vad_threshold=0.3)
    usual, chosen = (endpoint.request(each, None) for each in (SessionSettings(), settings))
    query = "encoding=pcm&sample_rate=16000&interim_results=true&endpointing=500"
    assert endpoint.with_query(usual.query).url == f"wss://api.x.ai/v1/stt?{query}"
    more = "language=de&vad_threshold=0.3&keyterm=rt&keyterm=x+y"
    assert endpoint.with_query(chosen.query).url == f"wss://api.x.ai/v1/stt?{query}&{more}"
    assert xai().session_messages("id") == ()


def test_xai_is_sent_binary_audio_and_an_end() -> None:
    """No commit, no clear."""
    codec = xai()
    assert codec.audio_messages(b"abcdef", 4) == [Binary(b"abcd"), Binary(b"ef")]
    assert json.loads(codec.end_message("id")) == {"type": "audio.done"}


def test_an_utterance_of_xai() -> None:
    """It begins before its first word, has its chunks and the interim text, and ends in the silence behind it."""
    words = [{"text": "a", "start": 1.0, "end": 1.4}, {"text": "b", "start": 1.5, "end": 2.0}]
    found = hear(
        xai(silence_ms=400),
        {"type": "transcript.created"},
        partial("a", 1.0, 0.2),
        partial("a", 1.0, 0.5, "chunk"),
        partial("b", 1.5, 0.3),
        {**partial("a b", 1.0, 1.0, "whole", words), "language": "en"},
        partial("c", 2.3, 0.2),
    )
    assert found == [
        SessionCreated(),
        SpeechStarted("utterance_1", 700),
        TranscriptSnapshot("utterance_1", "a"),
        TranscriptSnapshot("utterance_1", "a"),
        TranscriptSnapshot("utterance_1", "a b"),
        SpeechStopped("utterance_1", 2200),
        Committed("utterance_1"),
        TranscriptCompleted("utterance_1", "a b", "en"),
        SpeechStarted("utterance_2", 2200),
        TranscriptSnapshot("utterance_2", "c"),
    ]


@pytest.mark.parametrize(
    ("last", "text"),
    [
        (partial("a b c", 1.0, 2.0, "whole"), "a b c"),
        (partial("a b c", 1.01, 2.0, "whole"), "a b c"),
        (partial("c", 2.0, 1.0, "whole"), "a b c"),
        (partial("", 1.0, 2.0, "whole"), "a b"),
        ({"type": "transcript.done", "text": "c", "words": [{"start": 2.0, "end": 3.0}], "duration": 3.0}, "a b c"),
        ({"type": "transcript.done", "text": "a b c", "words": [{"start": 1.0}], "duration": 3.0}, "a b c"),
        ({"type": "transcript.done", "text": "a b c", "duration": 3.0}, "a b c"),
        ({"type": "transcript.done", "text": "", "words": [], "duration": 3.0}, "a b"),
    ],
    ids=["stitched", "rounded", "the tail", "empty", "rest: the tail", "rest: all", "rest: no words", "rest: nothing"],
)
def test_chunks_are_neither_lost_nor_doubled(last: dict[str, Any], text: str) -> None:
    """What the end of an utterance does not cover is the text of its chunks."""
    found = hear(xai(), partial("a", 1.0, 0.5, "chunk"), partial("b", 1.5, 0.5, "chunk"), last)
    assert [event.transcript for event in found if isinstance(event, TranscriptCompleted)] == [text]
    stopped = [event.audio_end_ms for event in found if isinstance(event, SpeechStopped)]
    assert stopped == [3010 if last.get("start") == 1.01 else 3000]


def test_the_end_of_xai() -> None:
    """With nothing to say, with words that nothing announced, and an error."""
    end = {"type": "transcript.done", "text": "", "words": [], "duration": 2.0}
    assert hear(xai(), end) == [StreamEnded()]
    assert hear(xai(), {**end, "text": "a"}) == [
        SpeechStarted("utterance_1", None),
        SpeechStopped("utterance_1", 2000),
        Committed("utterance_1"),
        TranscriptCompleted("utterance_1", "a"),
        StreamEnded(),
    ]
    assert hear(xai(), {"type": "error", "message": "no"}) == [ErrorEvent(ErrorInfo(message="no"))]
    assert hear(xai(), {"type": "else"}, partial("", 0, 0), partial("", 0, 0, "whole")) == [Ignored("else")]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KINDS = st.sampled_from(
    ["transcript.partial", "transcript.done", "transcript.created", f"{TRANSCRIPTION}.text", "session.finished"]
)
NAMES = st.sampled_from(["text", "stash", "start", "duration", "words", "is_final", "speech_final", "item_id"])


@given(st.lists(st.tuples(KINDS, st.dictionaries(NAMES, JSON)), max_size=5), st.text() | st.binary())
def test_any_message_decodes(messages: list[tuple[str, dict[str, Any]]], other: str | bytes) -> None:
    """Nothing raises, and every utterance that is committed has begun."""
    for codec in (
        xai(),
        DIALECTS["qwen"].codec(DIALECTS["qwen"].request(SessionSettings(), "m", None, embedded=False)),
    ):
        events = [event for kind, fields in messages for event in codec.decode(json.dumps({**fields, "type": kind}))]
        begun = [event.item_id for event in events if isinstance(event, SpeechStarted)]
        assert [event.item_id for event in events if isinstance(event, Committed)] in (begun, begun[:-1])
        assert all(not isinstance(event, Malformed) for event in events)
        list(codec.decode(other))


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_the_conversation_of_xai() -> None:
    """Turn detection is a field of its own; nothing asks for a transcription session."""
    heard = {"format": {"type": "audio/pcm", "rate": 24_000}, "transcription": {"model": "grok-transcribe"}}
    assert session(XAI_LISTENING) == {"turn_detection": None, "audio": {"input": heard}}
    detection = session(XAI_LISTENING, "server_vad", extra=(("turn_detection.idle", 1),))["turn_detection"]
    assert detection == {**VAD, "threshold": 0.5, "prefix_padding_ms": 300, **QUIET, "idle": 1}


@pytest.mark.parametrize("path", ["", "/v1/realtime"])
def test_the_url_of_the_conversation_of_xai(path: str) -> None:
    """By what is asked for, or by the path."""
    kind: Any = None if path else "realtime"
    url = f"https://api.x.ai{path}"
    endpoint = resolve(EndpointSettings(url=url), url, None, session_type=kind)
    request = endpoint.request(SessionSettings(session_type=kind), None)
    assert endpoint.with_query(request.query).url == "wss://api.x.ai/v1/realtime?model=grok-voice-latest"
    assert request.listening
    with pytest.raises(UsageError, match="another path"):
        resolve(EndpointSettings(), "https://api.x.ai/v1/realtime", None, session_type="transcription")


def test_the_session_of_voice_live() -> None:
    """Flat; several languages are one text, key terms are phrases, meaning has a name of its own."""
    dialect = DIALECTS["azure-voicelive"]
    usual = {
        "modalities": ["text"],
        "input_audio_format": "pcm16",
        "input_audio_sampling_rate": 24_000,
        "input_audio_transcription": {"model": "azure-speech"},
        "turn_detection": {**VAD, "threshold": 0.5, "prefix_padding_ms": 300, **QUIET},
    }
    assert session(dialect) == usual
    assert session(dialect, "semantic_vad")["turn_detection"]["type"] == "azure_semantic_vad"
    assert session(dialect, "client")["turn_detection"] is None
    transcription = session(dialect, language="en,zh", keyterm=("rt",))["input_audio_transcription"]
    assert transcription == {"model": "azure-speech", "language": "en,zh", "phrase_list": ["rt"]}
    with pytest.raises(UsageError, match="leave out --session"):
        resolve(EndpointSettings(), "https://r.openai.azure.com/voice-live", None, session_type="transcription")


def test_the_sessions_of_qwen() -> None:
    """A transcription names no model and has a context; a conversation has no rate."""
    asr = DIALECTS["qwen"]
    assert session(asr) == {
        "modalities": ["text"],
        "input_audio_format": "pcm",
        "sample_rate": 16_000,
        "input_audio_transcription": {},
        "turn_detection": VAD,
    }
    chosen = session(asr, language="en", prompt="A talk.", keyterm=("rt", "x"), vad_threshold=0.1)
    assert chosen["input_audio_transcription"] == {"language": "en", "corpus": {"text": "A talk.\nrt, x"}}
    assert chosen["turn_detection"] == {**VAD, "threshold": 0.1}
    assert session(QWEN_LISTENING) == {
        "modalities": ["text"],
        "input_audio_format": "pcm16",
        "input_audio_transcription": {"model": "qwen3-asr-flash-realtime"},
        "turn_detection": {**VAD, **QUIET},
    }


@pytest.mark.parametrize(
    ("kind", "model"), [(None, "qwen3-asr-flash-realtime"), ("realtime", "qwen3-omni-flash-realtime")]
)
def test_the_url_of_qwen_names_the_model(kind: Any, model: str) -> None:
    """The one that transcribes, or the one that converses."""
    url = "https://dashscope-intl.aliyuncs.com"
    endpoint = resolve(EndpointSettings(url=url), url, None, session_type=kind)
    request = endpoint.request(SessionSettings(session_type=kind), None)
    wanted = f"wss://dashscope-intl.aliyuncs.com/api-ws/v1/realtime?model={model}"
    assert endpoint.with_query(request.query).url == wanted


def test_every_message_to_qwen_has_an_id() -> None:
    """Each another; the log shows of audio its size alone, as without ids."""
    codec = DIALECTS["qwen"].codec(DIALECTS["qwen"].request(SessionSettings(), "m", None, embedded=False))
    first, second, third = (*codec.audio_messages(b"abcdef", 4), *codec.audio_messages(b"gh", 4))
    assert json.loads(second) == {"type": "input_audio_buffer.append", "audio": "ZWY=", "event_id": "rt_audio_2"}
    assert json.loads(third)["event_id"] == "rt_audio_3"
    assert shown(first) == '{"type":"input_audio_buffer.append","audio":"<4 B>"}'
    assert json.loads(codec.end_message("rt_clear")) == {"type": "session.finish", "event_id": "rt_clear"}


def test_the_messages_of_qwen() -> None:
    """An interim text is what stays and what may change; the end is answered."""
    codec = DIALECTS["qwen"].codec(DIALECTS["qwen"].request(SessionSettings(), "m", None, embedded=False))
    found = hear(
        codec,
        {"type": f"{TRANSCRIPTION}.text", "item_id": "i", "text": "a", "stash": " b", "language": "en"},
        {"type": f"{TRANSCRIPTION}.completed", "item_id": "i", "transcript": "a c", "language": "en"},
        {"type": "session.finished"},
    )
    assert found == [TranscriptSnapshot("i", "a b"), TranscriptCompleted("i", "a c", "en"), StreamEnded()]


@pytest.mark.parametrize(
    ("dialect", "turns", "settings", "hint"),
    [
        (DIALECTS["xai"], "client", {}, "leave out --turn-detection"),
        (DIALECTS["xai"], None, {"silence_ms": 5_001}, "--silence-ms smaller"),
        (DIALECTS["xai"], None, {"keyterm": ("x" * 51,)}, "leave out some --keyterm"),
        (DIALECTS["xai"], None, {"keyterm": ("x",) * 101}, "leave out some --keyterm"),
        (DIALECTS["xai"], None, {"prompt": "x"}, "leave out --prompt"),
        (DIALECTS["xai"], None, {"extra": (("x", 1),)}, "leave out --set"),
        (XAI_LISTENING, "semantic_vad", {}, "client or server_vad"),
        (XAI_LISTENING, None, {"keyterm": ("x",)}, "leave out --keyterm"),
        (DIALECTS["azure-voicelive"], None, {"prompt": "x"}, "leave out --prompt"),
        (DIALECTS["azure-voicelive"], None, {"extra": (("input_audio_sampling_rate", 8000),)}, "rt resamples"),
        (DIALECTS["qwen"], None, {"silence_ms": 100}, "another --silence-ms"),
        (DIALECTS["qwen"], None, {"noise_reduction": "near_field"}, "leave out --noise-reduction"),
        (DIALECTS["qwen"], None, {"extra": (("sample_rate", 8000),)}, "rt resamples"),
        (DIALECTS["qwen"], "semantic_vad", {}, "server_vad or client"),
        (QWEN_LISTENING, None, {"prompt": "x"}, "leave out --prompt"),
    ],
)
def test_what_is_not_taken_is_refused_at_once(
    dialect: Dialect, turns: Any, settings: dict[str, Any], hint: str
) -> None:
    """Rather than left unread there."""
    with pytest.raises(UsageError) as caught:
        session(dialect, turns, **settings)
    assert hint in caught.value.hint


@pytest.mark.parametrize(("name", "model"), [("xai", "grok"), ("qwen", "qwen3-omni-flash-realtime")])
def test_a_model_that_cannot_be_meant_is_refused_at_once(name: str, model: str) -> None:
    """One model for all, and one that converses."""
    with pytest.raises(UsageError):
        DIALECTS[name].request(SessionSettings(), model, None, embedded=False)
