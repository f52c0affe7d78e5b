"""What a refusal is about, and which session is asked for next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import ConnectionLost, EndpointError, RefusedError, RtError, UnreachableError
from rt_cli.protocol.dialects import DIALECTS
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.protocol.endpoint.negotiation import (
    Negotiation,
    OtherDialectError,
    Subject,
    Variant,
    next_variant,
    refused_subject,
)
from rt_cli.protocol.error_policy import classify_close, classify_error, http_refusal
from rt_cli.protocol.server_events import ErrorInfo
from rt_cli.settings import EndpointSettings, SessionSettings

TYPE = ErrorInfo(type="invalid_session_type", message="transcription sessions are not supported")
FIELD = ErrorInfo(code="invalid_value", message="no", param="session.type")
SAID = [
    (TYPE, "kind"),
    (FIELD, "any session"),
    (ErrorInfo(code="invalid_model", message="Model whisper-1 is not supported in realtime mode."), "any session"),
    (ErrorInfo(code="missing_model", message="You must provide a model parameter."), "any session"),
    (ErrorInfo(code="not_supported", message="no", param="session.audio.input.transcription.model"), "any session"),
    (
        ErrorInfo(message="Passing a transcription session update event to a realtime session is not allowed"),
        "any session",
    ),
    (ErrorInfo(code="invalid_value", message="no", param="session.audio.input.turn_detection"), "turns"),
    (ErrorInfo(code="x", message="Turn detection is not supported for this model"), "turns"),
    (ErrorInfo(code="unknown_parameter", message="no", param="session.audio.input.noise_reduction"), None),
    (ErrorInfo(code="x", message="audio.input.transcription.prompt is not supported"), None),
    (ErrorInfo(code="invalid_api_key", message="bad key"), None),
    (ErrorInfo(code="insufficient_quota", message="no transcription minutes left"), None),
    (ErrorInfo(code="rate_limit_exceeded", message="too many"), None),
]


@pytest.mark.parametrize(("said", "subject"), SAID)
def test_an_error_names_what_to_change(said: ErrorInfo, subject: Subject | None) -> None:
    """In all shapes; what names something else stands."""
    failure = classify_error(said, configuring=True)
    assert failure is not None
    assert refused_subject(failure, said) == subject


@pytest.mark.parametrize(
    ("failure", "subject"),
    [
        (classify_close(4000, "invalid_request_error"), "any session"),
        (classify_close(1008, "unknown model whisper-1"), "any session"),
        (classify_close(1008, "session_type must be realtime"), "any session"),
        (classify_close(1008, "bad token"), None),
        (classify_close(1011, "crash"), None),
        (classify_close(3000, "invalid_request_error.invalid_api_key"), None),
        (http_refusal(400, '{"code":"OpperationNotSupported"}'), "any session"),
        (http_refusal(400), "any session"),
        (http_refusal(404, "model whisper-1 not found"), "any session"),
        (http_refusal(404), None),
        (http_refusal(403), None),
        (http_refusal(401, "model not allowed"), None),
        (http_refusal(503, "loading model"), None),
        (EndpointError("no", code="no_session"), None),
        (ConnectionLost("cut"), None),
        (UnreachableError("down"), None),
        (RefusedError("key"), None),
    ],
)
def test_closes_and_statuses(failure: RtError, subject: Subject | None) -> None:
    """A key, a quota and an outage stay what they are."""
    assert refused_subject(failure, None) == subject


FIRST = Variant()
WITHOUT, LISTENS = Variant(url_model=False), Variant(listens=True)
OWN = Variant(own_turns=True)


@pytest.mark.parametrize(
    ("tried", "subject", "expected"),
    [
        ([FIRST], "kind", LISTENS),
        ([FIRST], "any session", WITHOUT),
        ([FIRST, WITHOUT], "any session", LISTENS),
        ([FIRST, WITHOUT], "kind", LISTENS),
        ([FIRST, LISTENS], "any session", Variant(listens=True, url_model=False)),
        ([FIRST], "turns", OWN),
        ([FIRST, OWN], "turns", None),
        ([FIRST, LISTENS], "kind", None),
        ([WITHOUT], "any session", Variant(listens=True, url_model=False)),
    ],
)
def test_what_is_tried_next(tried: list[Variant], subject: Subject, expected: Variant | None) -> None:
    """One change after another."""
    assert next_variant(tried, subject, may_listen=True, may_make_turns=True) == expected


@given(
    st.lists(st.sampled_from(["turns", "kind", "any session"]), max_size=20),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_it_ends(subjects: list[Subject], url_model: bool, listen: bool, turns: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever the refusals are about: no session twice, and nothing that the user has settled."""
    tried = [Variant(url_model=url_model)]
    for subject in subjects:
        found = next_variant(tried, subject, may_listen=listen, may_make_turns=turns)
        if found is None:
            break
        assert found not in tried
        assert listen or not found.listens
        assert turns or not found.own_turns
        assert url_model or not found.url_model
        tried.append(found)
    assert len(tried) <= 8


def negotiation(url: str, model: str | None = "m", **session: object) -> Negotiation:
    """The negotiation with the endpoint at a URL."""
    settings = SessionSettings(**session)  # type: ignore[arg-type]
    endpoint = resolve(EndpointSettings(url=url, model=model), url, None, session_type=settings.session_type)
    request = endpoint.request(settings, settings.turn_detection)
    return Negotiation(endpoint.with_query(request.query), request, settings)


def refuse(asked: Negotiation, said: ErrorInfo = TYPE) -> str | None:
    """The URL that is asked next."""
    failure = classify_error(said, configuring=True)
    assert failure is not None
    again = asked.after(asked.proposal, failure, said)
    return None if again is None else again.endpoint.url


def test_the_url_follows_the_session() -> None:
    """A conversation has no intent; a model of the user stays."""
    own = negotiation("ws://h")
    assert own.proposal.endpoint.url == "ws://h/v1/realtime?intent=transcription&model=m"
    assert refuse(own) == "ws://h/v1/realtime?model=m"
    theirs = negotiation("ws://h?model=gpt-realtime-2&team=x")
    assert theirs.proposal.endpoint.url == "ws://h/v1/realtime?model=gpt-realtime-2&team=x&intent=transcription"
    assert refuse(theirs, FIELD) == "ws://h/v1/realtime?model=gpt-realtime-2&team=x"
    assert theirs.proposal.request.listening


@pytest.mark.parametrize("url", ["https://api.openai.com", "https://r.openai.azure.com"])
def test_nothing_is_tried_where_the_protocol_is_known(url: str) -> None:
    """Its refusal stands, and no model is in the URL."""
    asked = negotiation(url)
    assert "model=" not in asked.proposal.endpoint.url
    assert refuse(asked) is None


def test_what_the_user_settles_stays() -> None:
    """The kind of the session, and who makes the turns."""
    assert refuse(negotiation("ws://h", session_type="transcription")) is None
    turns = ErrorInfo(code="x", message="no turn_detection")
    assert refuse(negotiation("ws://h", turn_detection="server_vad"), turns) is None
    assert refuse(negotiation("ws://h"), turns) is not None


def test_a_refusal_is_met_once_by_all_runs_of_a_command() -> None:
    """Who asked for the old session gets the new one; it is said by one of them."""
    asked = negotiation("ws://h")
    old = asked.proposal
    assert refuse(asked) is not None
    failure = EndpointError("anything")
    assert asked.after(old, failure, None) == asked.proposal
    assert [code for code, _ in asked.accepted(asked.proposal)] == ["session_type"]
    assert asked.accepted(asked.proposal) == []


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("vllm", "ws://h/v1/realtime?team=x"),
        ("localai", "ws://h/v1/realtime?team=x&model=m"),
        ("speaches", "ws://h/v1/realtime?team=x&intent=transcription&model=m"),
        ("nvidia", "ws://h/v1/realtime?team=x&intent=transcription"),
    ],
)
def test_a_server_that_greets_like_another_one_is_asked_in_its_dialect(name: str, url: str) -> None:
    """Once; what it refuses then stands."""
    asked = negotiation("ws://h?team=x")
    found = asked.after(asked.proposal, OtherDialectError(name), None)
    assert found is not None
    assert (found.endpoint.url, found.endpoint.shown) == (url, url)
    assert found.endpoint.dialect is DIALECTS[name]
    assert found.request.rate_hz == DIALECTS[name].rate_hz
    assert asked.after(found, classify_error(TYPE, configuring=True) or EndpointError("x"), TYPE) is None
    assert asked.cause(EndpointError("later")).message == "later"
    ((code, message),) = asked.accepted(found)
    assert (code, f"(--dialect {name})" in message) == ("dialect", True)


def test_sglang_is_recognised_by_what_it_refuses() -> None:
    """Its code, at the field; any other one asks for turns of our own."""
    said = ErrorInfo(code="not_supported", message="no", param="session.audio.input.turn_detection")
    asked = negotiation("ws://h")
    assert refuse(asked, said) == "ws://h/v1/realtime"
    assert asked.proposal.endpoint.dialect is DIALECTS["sglang"]
    # What it takes no notice of is no reason to end: rt makes the turns.
    asked = negotiation("ws://h", prompt="x")
    assert refuse(asked, said) == "ws://h/v1/realtime?intent=transcription&model=m"
    assert asked.proposal.request.turns == "client"
    assert refuse(negotiation("ws://h", turn_detection="server_vad"), said) is None


@pytest.mark.parametrize(
    ("name", "model", "session", "says"),
    [
        ("vllm", "m", {"language": "en"}, "vLLM: vllm takes no --language"),
        ("vllm", None, {}, "vLLM: vllm wants the name of a model"),
        ("speaches", "m", {"turn_detection": "client"}, "Speaches: speaches always finds the turns itself"),
        ("vllm", "m", {"session_type": "realtime"}, "greets like vLLM"),
    ],
)
def test_what_a_recognised_server_does_not_take_is_said(
    name: str, model: str | None, session: dict[str, object], says: str
) -> None:
    """As if its dialect had been named."""
    asked = negotiation("ws://h", model, **session)
    failure = OtherDialectError(name)
    assert asked.after(asked.proposal, failure, None) is None
    assert says in asked.cause(failure).message
    assert asked.cause(failure).exit_code == 6


def test_a_later_failure_is_not_the_first_refusal() -> None:
    """What was refused before the endpoint took a session explains nothing after it."""
    asked = negotiation("ws://h")
    assert refuse(asked) is not None
    assert asked.cause(EndpointError("later")).message != "later"
    asked.accepted(asked.proposal)
    assert asked.cause(EndpointError("later")).message == "later"


def test_listening_at_openai() -> None:
    """A model for the conversation is in the URL; the model of the settings transcribes."""
    asked = negotiation("https://api.openai.com", "whisper-1", session_type="realtime")
    assert asked.proposal.endpoint.url == "wss://api.openai.com/v1/realtime?model=gpt-realtime-2"
    named = negotiation("https://api.openai.com/v1/realtime?model=mine", "whisper-1", session_type="realtime")
    assert named.proposal.endpoint.url == "wss://api.openai.com/v1/realtime?model=mine"
