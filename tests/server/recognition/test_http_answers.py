"""Answers and URLs of transcription servers. Pure."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable
from rt_cli.server.recognition.http_answers import (
    MAX_TEXT,
    StreamedText,
    reason_of,
    text_of,
    transcriptions_url,
)
from rt_cli.server.recognition.interface import RecognizerFailed
from rt_cli.server.sse import MAX_EVENT, EventStream, EventTooLong

JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["text", "error", "message", "type", "delta", "choices", "detail"]), inner)
    ),
).map(json.dumps)


@pytest.mark.parametrize(
    ("given_url", "url"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1/audio/transcriptions"),
        ("http://localhost:8000/", "http://localhost:8000/v1/audio/transcriptions"),
        ("https://host/v1", "https://host/v1/audio/transcriptions"),
        ("https://host/proxy/v1/", "https://host/proxy/v1/audio/transcriptions"),
        ("https://host/v1/audio/transcriptions", "https://host/v1/audio/transcriptions"),
        ("https://host/own/path?version=2", "https://host/own/path?version=2"),
        ("http://[::1]:9", "http://[::1]:9/v1/audio/transcriptions"),
    ],
)
def test_url_is_completed(given_url: str, url: str) -> None:
    """A host alone, or with a version, is enough."""
    assert transcriptions_url(given_url, with_key=True) == url


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "ftp://host", "http://", "http://host:x", "http://ho st", "http://[::1", "http://h/#a"],
)
def test_invalid_url(url: str) -> None:
    """An invalid URL raises UsageError."""
    with pytest.raises(UsageError, match="no URL of a recogniser"):
        transcriptions_url(url, with_key=False)


def test_key_needs_https() -> None:
    """No key over http to another machine, and no credentials in the URL."""
    with pytest.raises(UsageError, match="unencrypted"):
        transcriptions_url("http://example.com", with_key=True)
    assert transcriptions_url("http://example.com", with_key=False)
    with pytest.raises(UsageError, match="RT_RECOGNIZER_API_KEY") as caught:
        transcriptions_url("https://user:secret@example.com", with_key=False)
    assert "secret" not in str(caught.value)


def test_text_of_json() -> None:
    """The text without control characters."""
    assert text_of(b'{"text": " Hello\\n\\u001b[31mworld \\ud800", "usage": {}}') == "Hello world \ufffd"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"text": 1}', b"{" * 100_000, b"\xff\xfe", b'{"text"'])
def test_invalid_answer(body: bytes) -> None:
    """An invalid answer fails with one short line."""
    with pytest.raises(RecognizerFailed) as caught:
        text_of(body)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, {"error": {"message": "Bad key sk-abcdefgh."}}, "HTTP 401: Bad key sk-***: check RT_RECOGNIZER_API_KEY"),
        (500, {"detail": "Out\nof memory"}, "HTTP 500: Out of memory"),
        (503, {"error": "busy"}, "HTTP 503: busy"),
        (404, {}, "HTTP 404: check the URL and the model"),
        (418, [], "HTTP 418"),
    ],
)
def test_reason(status: int, body: Any, reason: str) -> None:
    """Status, message of the server, and advice."""
    assert reason_of(status, json.dumps(body).encode()) == reason


@pytest.mark.parametrize(
    ("events", "text"),
    [
        pytest.param(
            [
                {"type": "transcript.text.delta", "delta": "Hel"},
                {"type": "transcript.text.delta", "delta": "lo wor"},
                {"type": "transcript.text.done", "text": "Hello, world."},
            ],
            "Hello, world.",
            id="OpenAI",
        ),
        pytest.param(
            [
                {"choices": [{"delta": {"content": " Hello"}}]},
                {"choices": [{"delta": {"content": " world"}}]},
                {"choices": [{"delta": {}, "finish_reason": "stop"}]},
                "[DONE]",
            ],
            "Hello world",
            id="vLLM",
        ),
        pytest.param([{"type": "of.tomorrow"}, "[DONE]"], "", id="nothing said"),
    ],
)
def test_streamed_text(events: list[Any], text: str) -> None:
    """Both stream formats give the text."""
    streamed = StreamedText()
    for event in events:
        assert not streamed.complete
        streamed.push(event if isinstance(event, str) else json.dumps(event))
    assert streamed.finish() == text


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (['{"type": "transcript.text.delta", "delta": "Hel"}'], "ended in the middle"),
        (['{"error": {"message": "no \\u001b]0;x\\u0007memory"}}'], "gave up: no memory"),
        (['{"type": "error", "message": "sorry"}'], "gave up: sorry"),
        (["not json"], "not understood: 'not json'"),
        (["[1]"], "not understood"),
        ([], "ended in the middle"),
    ],
)
def test_broken_streams(events: list[str], reason: str) -> None:
    """The failure has the reason."""
    with pytest.raises(RecognizerFailed, match=reason):
        streamed_whole(events)


def streamed_whole(events: list[str]) -> str:
    """The text of a complete stream."""
    streamed = StreamedText()
    for event in events:
        streamed.push(event)
    return streamed.finish()


LINE = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), min_size=1, max_size=20)


@given(st.lists(st.lists(LINE, min_size=1, max_size=3), max_size=5), st.sampled_from(["\n", "\r\n", "\r"]), st.data())
def test_events_in_any_chunks(events: list[list[str]], end: str, data: st.DataObject) -> None:
    """The events are the same for any chunks and any of the three line ends."""
    text = "".join(f": note{end}" + "".join(f"data: {line}{end}" for line in lines) + end for lines in events)
    # After a CR, the next character decides whether the line end is CR or CRLF.
    raw = text.encode() + b"\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    stream = EventStream()
    told = [
        each for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True) for each in stream.push(raw[start:stop])
    ]
    assert told == ["\n".join(lines) for lines in events]


@pytest.mark.parametrize("piece", [b"x" * 65_536, b"data: x\n" * 8_192])
def test_endless_event(piece: bytes) -> None:
    """A stream without end of line or event raises EventTooLong."""
    stream = EventStream()
    pieces = (stream.push(piece) for _ in range(16 * MAX_EVENT // len(piece)))
    with pytest.raises(EventTooLong):
        list(pieces)


@given(body=st.binary() | JSON.map(str.encode) | st.integers(1, 5_000).map(lambda depth: b"[" * depth + b"]" * depth))
def test_any_answer(body: bytes) -> None:
    """Any answer is a text, or raises RecognizerFailed; any reason is one short line."""
    with suppress(RecognizerFailed):
        assert isinstance(text_of(body), str)
    assert printable(reason_of(500, body)) == reason_of(500, body)
    streamed = StreamedText()
    with suppress(RecognizerFailed):
        streamed.push(body.decode(errors="replace"))
    assert isinstance(streamed.text, str)


def test_a_text_without_end() -> None:
    """A text that nobody can have said is a failure, in one piece or in many."""
    long = "word " * (MAX_TEXT // 5 + 1)
    with pytest.raises(RecognizerFailed, match="longer than"):
        text_of(json.dumps({"text": long}).encode())
    streamed = StreamedText()
    delta = json.dumps({"type": "transcript.text.delta", "delta": "word " * (MAX_TEXT // 10)})
    streamed.push(delta)
    with pytest.raises(RecognizerFailed, match="longer than"):
        streamed.push(delta.replace("word", "words"))
