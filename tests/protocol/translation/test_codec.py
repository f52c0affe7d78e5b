"""The messages of a translation session."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.protocol.server_events import ErrorEvent, Malformed, SessionUpdated, StreamEnded
from rt_cli.protocol.translation.codec import TranslationCodec
from rt_cli.protocol.translation.events import TranslatedSound, TranslatedTurn
from rt_cli.protocol.translation.session import translation_session
from rt_cli.settings import EndpointSettings, SessionSettings

RATE = 24_000


def codec() -> TranslationCodec:
    """A codec that has sent a minute of sound."""
    made = TranslationCodec({"audio": {}}, RATE)
    made.audio_messages(bytes(2 * 60 * RATE), 2 * RATE)
    return made


def event(kind: str, **fields: object) -> str:
    """A server event."""
    return json.dumps({"type": f"session.{kind}", "event_id": "e", **fields})


def test_client_messages() -> None:
    """Exactly the three that the route knows."""
    made = TranslationCodec({"audio": {"output": {"language": "es"}}}, RATE)
    (update,) = made.session_messages("id")
    assert json.loads(update) == {
        "type": "session.update",
        "event_id": "id",
        "session": {"audio": {"output": {"language": "es"}}},
    }
    pcm = bytes(range(256)) * 4
    appends = [json.loads(each) for each in made.audio_messages(pcm, 400)]
    assert {each["type"] for each in appends} == {"session.input_audio_buffer.append"}
    assert b"".join(b64decode(each["audio"]) for each in appends) == pcm
    assert json.loads(made.end_message("bye")) == {"type": "session.close", "event_id": "bye"}


def test_sound_comes_as_it_is() -> None:
    """Anything but whole samples of one channel is no sound."""
    sound = b64encode(b"\x01\x02").decode()
    assert codec().decode(event("output_audio.delta", delta=sound)) == [TranslatedSound(b"\x01\x02")]
    for wrong in ({"delta": "AQ=="}, {"delta": "?"}, {"delta": sound, "channels": 2}, {"delta": sound, "format": "x"}):
        assert isinstance(codec().decode(event("output_audio.delta", **wrong))[0], Malformed)


def test_an_answer_to_our_close_ends_the_stream_and_one_unasked_is_an_expiry() -> None:
    """The words that were told so far are complete in both cases."""
    for closing in (True, False):
        made = codec()
        made.decode(event("input_transcript.delta", delta="one two", elapsed_ms=1000))
        made.decode(event("output_transcript.delta", delta="uno dos", elapsed_ms=1200))
        if closing:
            made.end_message("bye")
        turn, end = made.decode(event("closed"))
        assert isinstance(turn, TranslatedTurn)
        assert (turn.text, turn.translation) == ("one two", "uno dos")
        if closing:
            assert end == StreamEnded()
        else:
            assert isinstance(end, ErrorEvent)
            assert end.error.code == "session_expired"


def test_an_endpoint_has_not_heard_what_was_not_sent() -> None:
    """A time beyond the sound is that of its end."""
    made = TranslationCodec({}, RATE)
    made.audio_messages(bytes(2 * RATE), 2 * RATE)
    made.decode(event("input_transcript.delta", delta="one two.", elapsed_ms=10**9))
    (turn,) = made.decode(event("output_transcript.delta", delta="uno dos.", elapsed_ms=10**9))
    assert isinstance(turn, TranslatedTurn)
    assert turn.end_ms <= 1000


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KINDS = ["input_transcript.delta", "output_transcript.delta", "output_audio.delta", "closed", "updated", "x"]


@given(st.sampled_from(KINDS), JSON, JSON)
def test_nothing_makes_it_raise(kind: str, delta: object, elapsed: object) -> None:
    """Fields of any kind."""
    made = codec()
    made.decode(event(kind, delta=delta, elapsed_ms=elapsed))
    made.tick(RATE, 1.0)


def test_the_session_of_the_answer_is_read_back() -> None:
    """As for a transcription: a null transcription is noticed."""
    (updated,) = codec().decode(event("updated", session={"audio": {"input": {"transcription": None}}}))
    assert isinstance(updated, SessionUpdated)
    assert updated.effective.transcribes is False


def test_the_session_has_what_the_route_takes() -> None:
    """And nothing else; ``--set`` reaches the rest."""
    chosen = SessionSettings(translate="es", noise_reduction="near_field", extra=(("audio.input.x", 1),))
    assert translation_session(chosen) == {
        "audio": {
            "input": {
                "transcription": {"model": "gpt-realtime-whisper"},
                "noise_reduction": {"type": "near_field"},
                "x": 1,
            },
            "output": {"language": "es"},
        }
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"language": "en"},
        {"prompt": "x"},
        {"keyterm": ("x",)},
        {"delay": "low"},
        {"confidence": True},
        {"turn_detection": "client"},
    ],
)
def test_what_a_translation_does_not_take_is_refused(wrong: dict[str, Any]) -> None:
    """Before anything is sent; the message names the option."""
    with pytest.raises(UsageError, match=f"--{next(iter(wrong)).replace('_', '-')}"):
        translation_session(SessionSettings(translate="es", **wrong))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://api.openai.com", "wss://api.openai.com/v1/realtime/translations"),
        ("https://api.openai.com/v1", "wss://api.openai.com/v1/realtime/translations"),
        ("http://localhost:8000/v1/realtime", "ws://localhost:8000/v1/realtime/translations"),
        ("http://localhost:8000/v1/realtime/translations/", "ws://localhost:8000/v1/realtime/translations"),
        ("http://localhost/proxy/v1?model=m", "ws://localhost/proxy/v1/realtime/translations?model=m"),
        ("https://x.openai.azure.com", "wss://x.openai.azure.com/openai/v1/realtime/translations"),
    ],
)
def test_the_route(url: str, path: str) -> None:
    """Beside that of the conversations; a model in the URL stays the only one."""
    endpoint = resolve(EndpointSettings(url=url), url, None, conversation=True).translating(None)
    assert endpoint.url == path
    model = "m" if "model" in path else "gpt-realtime-translate"
    assert endpoint.model == model
    request = endpoint.request(SessionSettings(translate="es"), None)
    assert endpoint.with_query(request.query).url.count("model=") == 1


@pytest.mark.parametrize("url", ["http://localhost?intent=transcription", "http://localhost?intent=realtime"])
def test_an_intent_in_the_url_is_refused(url: str) -> None:
    """The route has none."""
    with pytest.raises(UsageError, match="intent"):
        resolve(EndpointSettings(url=url), url, None, conversation=True).translating(None)


def test_two_models_are_refused() -> None:
    """Nobody knows which one is meant."""
    url = "http://localhost?model=a"
    with pytest.raises(UsageError, match="model"):
        resolve(EndpointSettings(url=url), url, None, conversation=True).translating("b")
