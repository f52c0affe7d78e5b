"""Client events are valid for the official package, and every server message becomes an event."""

from __future__ import annotations

import base64
import json
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rt_cli.events import TurnUsage
from rt_cli.protocol.message_log import shown
from rt_cli.protocol.openai.decode import decode
from rt_cli.protocol.openai.encode import append_event, commit_event, session_update_event
from rt_cli.protocol.server_events import (
    Committed,
    ErrorEvent,
    ErrorInfo,
    Ignored,
    Malformed,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptDelta,
    TranscriptFailed,
    TranscriptSegment,
)

TRANSCRIPTION = "conversation.item.input_audio_transcription"
KINDS = [
    "session.created",
    "transcription_session.created",
    "session.updated",
    "transcription_session.updated",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    f"{TRANSCRIPTION}.delta",
    f"{TRANSCRIPTION}.completed",
    f"{TRANSCRIPTION}.failed",
    "error",
]
FIELDS = [
    "session",
    "id",
    "expires_at",
    "item_id",
    "previous_item_id",
    "audio_start_ms",
    "audio_end_ms",
    "delta",
    "transcript",
    "languages",
    "language",
    "error",
    "code",
    "message",
    "param",
    "event_id",
]

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=4),
    max_leaves=10,
)
plausible = st.builds(
    lambda kind, fields: json.dumps({"type": kind} | fields),
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=8),
)


def read(**fields: object) -> ServerEvent:
    """Decode an event given as keyword arguments."""
    return decode(json.dumps(fields))


@given(st.binary(max_size=200))
def test_an_append_carries_exactly_its_audio(pcm: bytes) -> None:
    """The template equals the output of a JSON library, and decodes to the same audio."""
    event = json.loads(append_event(pcm))

    assert set(event) == {"type", "audio"}
    assert event["type"] == "input_audio_buffer.append"
    assert base64.b64decode(event["audio"], validate=True) == pcm


@given(event_id=st.text(st.characters(codec="utf-8")))
def test_a_commit_carries_its_id(event_id: str) -> None:
    """Any event id survives encoding: an error refers to it."""
    assert json.loads(commit_event(event_id)) == {"type": "input_audio_buffer.commit", "event_id": event_id}


def test_a_session_update_has_the_session_unchanged() -> None:
    """Explicit nulls stay: a missing field and null mean different things."""
    session = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}

    event = json.loads(session_update_event(session, "u1"))

    assert {"type": "session.update", "event_id": "u1", "session": session} == event


@pytest.mark.parametrize(
    "event",
    [append_event(bytes(480)), commit_event("c1")],
    ids=["append", "commit"],
)
def test_every_client_event_is_valid_for_the_official_package(event: bytes) -> None:
    """The event validates, and each of its keys is a field of the package's type."""
    from openai.types.realtime import RealtimeClientEvent
    from pydantic import TypeAdapter

    fields = json.loads(event)
    known: Any = TypeAdapter(RealtimeClientEvent).validate_python(fields, strict=True)

    assert set(fields) <= set(type(known).model_fields)


EVENTS: list[tuple[str, dict[str, Any], ServerEvent]] = [
    (
        "created",
        {"type": "session.created", "session": {"id": "sess_1", "expires_at": 1_760_000_000}},
        SessionCreated(1_760_000_000, "sess_1"),
    ),
    (
        "created, flat",
        {"type": "session.created", "id": "sess_1", "created": 5},
        SessionCreated(None, "sess_1", looks_like="vllm"),
    ),
    (
        "created, LocalAI",
        {"type": "session.created", "event_id": "event_TODO", "session": {"id": "s", "audio": {}}},
        SessionCreated(None, "s", looks_like="localai"),
    ),
    (
        "created, Speaches",
        {"type": "session.created", "event_id": "e", "session": {"modalities": [], "speech_model": "kokoro"}},
        SessionCreated(None, None, flat=True, looks_like="speaches"),
    ),
    ("created, bare", {"type": "session.created"}, SessionCreated()),
    (
        "created, beta",
        {"type": "transcription_session.created", "session": {"id": "s", "expires_at": 0}},
        SessionCreated(None, "s", flat=True),
    ),
    ("updated", {"type": "session.updated", "session": {"expires_at": 7.5}}, SessionUpdated(7.5)),
    ("updated, beta", {"type": "transcription_session.updated", "session": {}}, SessionUpdated()),
    (
        "speech started",
        {"type": "input_audio_buffer.speech_started", "item_id": "i", "audio_start_ms": 120},
        SpeechStarted("i", 120),
    ),
    ("speech started, no id", {"type": "input_audio_buffer.speech_started"}, SpeechStarted()),
    (
        "speech stopped, fraction",
        {"type": "input_audio_buffer.speech_stopped", "item_id": "i", "audio_end_ms": 99.9},
        SpeechStopped("i", 99),
    ),
    (
        "committed",
        {"type": "input_audio_buffer.committed", "item_id": "b", "previous_item_id": "a"},
        Committed("b", "a"),
    ),
    (
        "committed, first",
        {"type": "input_audio_buffer.committed", "item_id": "a", "previous_item_id": None},
        Committed("a"),
    ),
    (
        "delta",
        {"type": f"{TRANSCRIPTION}.delta", "item_id": "i", "delta": " word", "obfuscation": "x"},
        TranscriptDelta("i", " word"),
    ),
    (
        "completed",
        {"type": f"{TRANSCRIPTION}.completed", "item_id": "i", "transcript": "Ja.", "languages": ["de", "en"]},
        TranscriptCompleted("i", "Ja.", "de"),
    ),
    (
        "completed, language undetermined",
        {"type": f"{TRANSCRIPTION}.completed", "item_id": "i", "transcript": "", "languages": []},
        TranscriptCompleted("i"),
    ),
    (
        "completed, language",
        {"type": f"{TRANSCRIPTION}.completed", "transcript": "Ja.", "language": "de"},
        TranscriptCompleted(None, "Ja.", "de"),
    ),
    (
        "failed",
        {"type": f"{TRANSCRIPTION}.failed", "item_id": "i", "error": {"code": "audio_unintelligible", "message": "m"}},
        TranscriptFailed("i", ErrorInfo(code="audio_unintelligible", message="m")),
    ),
    (
        "error",
        {
            "type": "error",
            "event_id": "theirs",
            "error": {"type": "t", "code": "c", "message": "m", "param": "p", "event_id": "ours"},
        },
        ErrorEvent(ErrorInfo("t", "c", "m", "p", "ours")),
    ),
    (
        "error, nulls",
        {"type": "error", "error": {"type": "t", "code": None, "message": "m", "param": None, "event_id": None}},
        ErrorEvent(ErrorInfo("t", "", "m")),
    ),
    (
        "error, string",
        {"type": "error", "error": "no such model", "code": "model_not_found"},
        ErrorEvent(ErrorInfo(code="model_not_found", message="no such model")),
    ),
    (
        "error, siblings only",
        {"type": "error", "code": "unavailable", "message": "warming up"},
        ErrorEvent(ErrorInfo(code="unavailable", message="warming up")),
    ),
    (
        "error, numeric code and object message",
        {"type": "error", "error": {"code": 1008, "message": {"message": "bad"}}},
        ErrorEvent(ErrorInfo(code="1008", message="bad")),
    ),
    ("error, empty", {"type": "error"}, ErrorEvent()),
    ("conversation.created", {"type": "conversation.created", "conversation": {}}, Ignored("conversation.created")),
    ("unknown", {"type": "ping", "timestamp": 1}, Ignored("ping")),
    ("unknown, hostile name", {"type": "a\x1b]0;b\x07c\n"}, Ignored("ac ")),
]


@pytest.mark.parametrize(
    ("fields", "expected"), [(fields, event) for _, fields, event in EVENTS], ids=[name for name, _, _ in EVENTS]
)
def test_server_messages_become_events(fields: dict[str, Any], expected: ServerEvent) -> None:
    """Messages of OpenAI and of compatible servers."""
    assert expected == read(**fields)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "null",
        "[]",
        '"error"',
        "{}",
        '{"type":1}',
        '{"type":null}',
        '{"type":""}',
        '{"type":"error"',
        '{"type":"error"} {}',
        "[" * 100_000,
        '{"type":"error","error":' + "[" * 100_000 + "]" * 100_000 + "}",
        b"\xff\xfe\x00",
        b"RIFF\x00\x00\x00\x00WAVE",
        '{"type":"error","x":' + "9" * 5000 + "}",
    ],
    ids=lambda message: repr(message)[:24],
)
def test_a_message_that_is_not_an_event_is_malformed(message: str | bytes) -> None:
    """Bad JSON, not an object, no type, binary, nested too deep: a ``Malformed`` with the reason, no exception."""
    event = decode(message)

    assert isinstance(event, Malformed)
    assert event.reason


@given(st.text() | st.binary() | json_values.map(json.dumps) | plausible | plausible.map(str.encode))
@example('{"type":"error","error":"\\ud83d"}')
@example('{"type":"input_audio_buffer.speech_started","audio_start_ms":1e999}')
@example('{"type":"input_audio_buffer.speech_started","audio_start_ms":NaN}')
def test_decode_never_raises(message: str | bytes) -> None:
    """Any message becomes an event that can be logged."""
    event = decode(message)

    assert isinstance(event, get_args(ServerEvent))
    str(event).encode()


def test_bytes_and_text_decode_to_the_same_event() -> None:
    """The message may be UTF-8 bytes."""
    message = '{"type":"' + TRANSCRIPTION + '.completed","item_id":"i","transcript":"größer"}'

    assert decode(message.encode()) == decode(message) == TranscriptCompleted("i", "größer")


@pytest.mark.parametrize(
    ("odd", "expected"), [("caf\\ud83d", "caf\ufffd"), ("\\ud83d\\ude00", "\U0001f600")], ids=["half a pair", "a pair"]
)
def test_a_broken_surrogate_does_not_lose_the_transcript(odd: str, expected: str) -> None:
    """Only the character that the server cut is replaced."""
    message = f'{{"type":"{TRANSCRIPTION}.completed","item_id":"i","transcript":"{odd}"}}'

    assert decode(message) == TranscriptCompleted("i", expected)


def test_a_number_out_of_range_does_not_lose_the_transcript() -> None:
    """A bad field that ``rt`` does not read has no effect."""
    message = f'{{"type":"{TRANSCRIPTION}.completed","transcript":"yes","usage":1e999}}'

    assert decode(message) == TranscriptCompleted(None, "yes")


def test_transcriptions_decode_as_in_the_official_package() -> None:
    """Any transcription that validates in the package decodes to the same text."""
    from openai.types.realtime import ConversationItemInputAudioTranscriptionCompletedEvent as Completed

    fields = {
        "type": f"{TRANSCRIPTION}.completed",
        "event_id": "e",
        "item_id": "i",
        "content_index": 0,
        "transcript": "hello",
        "usage": {"type": "duration", "seconds": 1.5},
    }
    oracle = Completed.model_validate(fields)

    assert decode(oracle.model_dump_json()) == TranscriptCompleted(
        oracle.item_id, oracle.transcript, usage=TurnUsage(seconds=1.5)
    )


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}, TurnUsage(14, 45, 59)),
        ({"type": "duration", "seconds": 1.5}, TurnUsage(seconds=1.5)),
        ({"type": "tokens"}, None),
        ({"total_tokens": True, "seconds": "1"}, None),
        ({"total_tokens": -1, "seconds": 1e300}, None),
        ("much", None),
    ],
    ids=str,
)
def test_usage(usage: object, expected: TurnUsage | None) -> None:
    """What a turn costs, in tokens or in seconds; what is no such number says nothing."""
    event = decode(json.dumps({"type": f"{TRANSCRIPTION}.completed", "transcript": "x", "usage": usage}))

    assert isinstance(event, TranscriptCompleted)
    assert event.usage == expected


@pytest.mark.parametrize(
    ("logprobs", "expected"),
    [
        ([{"token": "he", "logprob": 0.0}], 1.0),
        ([{"logprob": -0.5}, {"logprob": -1.5}], 0.3679),
        ([{"logprob": -1e308}, {"logprob": -1e308}], 0.0),
        ([{"logprob": -0.5}, {"token": "without"}], None),
        ([{"logprob": 0.5}], None),
        ([{"logprob": True}], None),
        ([-0.5], None),
        ([], None),
        ("sure", None),
    ],
    ids=str,
)
def test_confidence(logprobs: object, expected: float | None) -> None:
    """The geometric mean of the probabilities of all tokens; unknown if one of them is."""
    event = decode(json.dumps({"type": f"{TRANSCRIPTION}.completed", "transcript": "x", "logprobs": logprobs}))

    assert isinstance(event, TranscriptCompleted)
    assert event.confidence == expected


def test_a_segment_has_a_speaker_and_times() -> None:
    """As the official package has it; fields of the wrong kind are as absent."""
    fields = {"id": "seg_1", "content_index": 0, "text": "hello", "speaker": "A", "start": 0.5, "end": 1.25}
    kind = {"type": f"{TRANSCRIPTION}.segment", "item_id": "i"}

    assert decode(json.dumps(kind | fields)) == TranscriptSegment("i", "hello", "A", 0.5, 1.25)
    assert decode(json.dumps(kind | {"text": 1, "speaker": {}, "start": "0", "end": -1})) == TranscriptSegment("i")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (append_event(bytes(4800)), '{"type":"input_audio_buffer.append","audio":"<4800 B>"}'),
        (
            '{"event_id":"e", "type" : "input_audio_buffer.append", "audio": "AA\\/AAA=="}',
            '{"event_id":"e", "type" : "input_audio_buffer.append", "audio": "<4 B>"}',
        ),
        (
            '{"type":"response.output_audio.delta","delta":"AAAA"}',
            '{"type":"response.output_audio.delta","delta":"<3 B>"}',
        ),
        (
            '{"type":"x.delta","delta":"word"}',
            '{"type":"x.delta","delta":"word"}',
        ),
        ('{"data":"' + "A" * 400 + '"}', '{"data":"<300 B>"}'),
        ('{"audio":"AAAA', '{"audio":"<3 B>'),
        (b"\xff\x00\x01", "<3 B>"),
        ('{"m":"bad key sk-proj-a1B2*****c3"}', '{"m":"bad key sk-***"}'),
        ('{"h":"Authorization: Bearer abc.def"}', '{"h":"Authorization: Bearer ***"}'),
        ('{"u":"wss://h/v1?api-key=abc&x=1"}', '{"u":"wss://h/v1?api-key=***&x=1"}'),
        ('{"client_secret": "ek_123456"}', '{"client_secret": "***"}'),
        ('{"usage":{"total_tokens":12}}', '{"usage":{"total_tokens":12}}'),
        ("a\x1b[2Jb\nc", "ab c"),
    ],
    ids=[
        "append",
        "foreign append",
        "reply",
        "text delta",
        "long",
        "cut",
        "binary",
        "sk",
        "bearer",
        "url",
        "secret",
        "tokens are no token",
        "controls",
    ],
)
def test_a_log_shows_neither_audio_nor_keys(message: str | bytes, expected: str) -> None:
    """Audio by its size, keys as stars, no control characters."""
    assert expected == shown(message)


@given(st.text() | st.binary(max_size=2000) | st.text(min_size=600).map(json.dumps))
def test_a_log_line_is_short_and_printable(message: str | bytes) -> None:
    """For any message."""
    line = shown(message)

    assert len(line) < 600
    assert not any(ord(character) < 32 for character in line)
