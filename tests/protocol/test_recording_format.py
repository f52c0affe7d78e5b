"""Reading of recordings; errors have their line number."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.output.results.wire_timeline import timeline
from rt_cli.protocol.recording_format import Entry, entries, size_of, with_silence, without_audio
from rt_cli.server.replay.script import scripts_of

HEAD: dict[str, Any] = {"type": "recording", "version": 1, "audio": False}
OPEN = {"type": "open", "connection": 1, "ms": 0}
EVENT = {"type": "event", "connection": 1, "ms": 1, "direction": "in", "event": {"type": "x"}}


def lines(*fields: object) -> list[bytes]:
    """Return the lines of a file."""
    return [json.dumps(each).encode() + b"\n" for each in fields]


def test_each_line_becomes_an_entry() -> None:
    """A complete recording."""
    append = {**EVENT, "direction": "out", "event": {"type": "input_audio_buffer.append", "audio": {"bytes": 8}}}
    found = list(entries(lines(HEAD, OPEN, EVENT, append, {"type": "dropped", "lines": 3}), "a"))
    assert [entry.type for entry in found] == ["recording", "open", "event", "event", "dropped"]
    assert [entry.appended for entry in found] == [None, None, None, 8, None]
    assert found[2] == Entry("event", 1, 1, "in", EVENT)


def test_binary_audio_of_the_client() -> None:
    """With its sound or without; of the endpoint's binary messages nothing is ever left out."""
    kept, short = ({**EVENT, "direction": "out", "base64": each} for each in ("AAECAw==", {"bytes": 4}))
    for each in (kept, short):
        del each["event"]
    found = list(entries(lines(HEAD, OPEN, kept, short), "a"))
    assert [entry.appended for entry in found] == [None, None, 4, 4]
    with pytest.raises(UsageError, match="line 3 has no event"):
        list(entries(lines(HEAD, OPEN, {**short, "direction": "in"}), "a"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param([], "it is empty", id="empty"),
        pytest.param([b"RIFF\x00\xff\n"], "line 1 is no JSON", id="a sound file"),
        pytest.param([b'{"type":"recording"'], "line 1 is no JSON", id="torn at once"),
        pytest.param(lines({"type": "final"}), "line 1 is not the first line of a recording", id="other NDJSON"),
        pytest.param(lines({**HEAD, "version": 2}), "line 1 has version 2, and this program reads 1", id="newer"),
        pytest.param(lines(HEAD, [1]), "line 2 is no JSON object", id="a list"),
        pytest.param(lines(HEAD, {"type": ["x"]}), "line 2 has no type that is known", id="type"),
        pytest.param(lines(HEAD, EVENT), "line 2 belongs to a connection that was never opened", id="not opened"),
        pytest.param(lines(HEAD, {**OPEN, "connection": "1"}), "line 2 has no connection", id="connection"),
        pytest.param(lines(HEAD, {**OPEN, "ms": -1}), "line 2 has no time", id="time"),
        pytest.param(lines(HEAD, {**OPEN, "began_ms": "x"}), "line 2 has no beginning", id="beginning"),
        pytest.param(lines(HEAD, {**OPEN, "status": 9}), "line 2 has no HTTP status", id="status"),
        pytest.param(lines(HEAD, OPEN, {**EVENT, "direction": "up"}), "line 3 has no direction", id="direction"),
        pytest.param(lines(HEAD, OPEN, {**EVENT, "event": 1}), "line 3 has no event", id="event"),
        pytest.param(
            lines(HEAD, OPEN, {**EVENT, "type": "close", "code": 1004}), "line 3 has no close code", id="code"
        ),
        pytest.param([*lines(HEAD), b"[" * 100_000 + b"\n"], "line 2 nests too deep", id="deep"),
        pytest.param([*lines(HEAD), b"{\n", *lines(OPEN)], "line 2 is no JSON", id="torn in the middle"),
    ],
)
def test_a_wrong_line_is_a_usage_error(content: list[bytes], complaint: str) -> None:
    """The message has the line number and the problem."""
    with pytest.raises(UsageError, match="rt replay reads") as caught:
        list(entries(content, "a.ndjson"))
    assert caught.value.message == f"a.ndjson is no recording: {complaint}"
    assert caught.value.exit_code == 2


def test_invalid_base64_is_an_error() -> None:
    """It is found when the file is read, not during the replay."""
    bad = {"type": "event", "connection": 1, "ms": 1, "direction": "in", "base64": "!"}
    with pytest.raises(UsageError, match="line 3"):
        list(entries(lines(HEAD, OPEN, bad), "a"))


@given(st.integers(0, 400))
def test_an_incomplete_last_line_is_torn(cut: int) -> None:
    """For any cut, all lines before it are read."""
    whole = b"".join(lines(HEAD, OPEN, EVENT, EVENT))
    head = len(lines(HEAD)[0])
    text = whole[: head + cut % (len(whole) - head + 1)]
    found = [entry.type for entry in entries(text.splitlines(keepends=True), "a")]
    expected = ["recording", "open", "event", "event"][: text.count(b"\n")]
    assert found[: len(expected)] == expected
    assert found[len(expected) :] in ([], ["torn"], ["open"], ["event"])


@given(st.binary(max_size=200))
def test_silence_is_as_long_as_the_audio(sound: bytes) -> None:
    """Removed audio comes back as zero bytes of the same length, in every event."""
    text = b64encode(sound).decode()
    said = {"type": "response.output_audio.delta", "delta": text, "item": {"content": [{"audio": text, "x": 1}]}}
    short = without_audio(said)
    assert short["delta"] == {"bytes": len(sound)} == short["item"]["content"][0]["audio"]
    back = with_silence(short)
    assert size_of(back["delta"]) == len(sound) == size_of(back["item"]["content"][0]["audio"])
    assert without_audio(back) == short


def test_text_is_not_audio() -> None:
    """A text delta stays unchanged, and so does an object called audio."""
    said = {"type": "response.output_text.delta", "delta": "abcd", "session": {"audio": {"input": {"format": 1}}}}
    assert without_audio(said) == said == with_silence(said)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        pytest.param({**EVENT, "direction": {}}, "has no direction", id="direction"),
        pytest.param({**EVENT, "ms": 10**400}, "has no time", id="time"),
        pytest.param({**EVENT, "ms": True}, "has no time", id="time, a truth value"),
        pytest.param({**EVENT, "connection": True}, "has no connection", id="connection"),
        pytest.param({**EVENT, "base64": 5}, "has no event", id="base64"),
        pytest.param({**EVENT, "text": 5}, "has no event", id="text"),
        pytest.param({**OPEN, "began_ms": 10**400}, "has no beginning", id="beginning"),
        pytest.param({**EVENT, "type": "close", "code": 1000, "reason": "x" * 124}, "has a reason", id="reason"),
        pytest.param({**EVENT, "event": json.loads("[" * 400 + "]" * 400)}, "has no event", id="a list"),
        pytest.param({**EVENT, "event": {"a": json.loads("[" * 400 + "]" * 400)}}, "nests too deep", id="deep"),
    ],
)
def test_values_of_another_type(fields: dict[str, Any], complaint: str) -> None:
    """Each is an error of its line, found when the file is read."""
    with pytest.raises(UsageError, match=f"line 3 {complaint}"):
        list(entries(lines(HEAD, OPEN, fields), "a"))


def test_silence_has_a_limit_for_the_whole_event() -> None:
    """A file of a few lines does not fill the memory."""
    short = {"type": "x", "list": [{"audio": {"bytes": 1 << 24}}] * 1000}
    assert sum(size_of(each["audio"]) for each in with_silence(short)["list"]) == 24 << 20


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["in", "out", "event", "open", "close", "AA==", 10**400, 1000, 1, "response.audio.delta"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "audio", "bytes", "delta", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = [
    *("type", "connection", "ms", "direction", "event", "text", "base64", "code", "reason", "status", "began_ms"),
    *("lines", "url", "source", "request", "version", "audio", "began", "message"),
]


@given(st.lists(st.tuples(st.sampled_from([HEAD, OPEN, EVENT]), st.dictionaries(st.sampled_from(NAMES), ODD))))
def test_any_file_is_played_or_refused(changes: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Reading, printing and scripting of any lines raise no error but a UsageError."""
    content = lines(HEAD, OPEN, *({**whole, **change} for whole, change in changes))
    try:
        found = list(entries(content, "a"))
    except UsageError:
        return
    assert all(isinstance(line, str) for whole in (False, True) for line in timeline(found, whole=whole))
    scripts_of(found)
