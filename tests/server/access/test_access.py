"""Access rules: all places of a key, all paths, and origins. Pure."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.server.access.access import (
    Access,
    Admission,
    Answer,
    Decision,
    Unauthorized,
    choose_subprotocol,
    listening_address,
)
from rt_cli.server.access.client_secrets import MOST, ClientSecrets
from rt_cli.server.access.plain_http import PlainRequest

TOKEN = "correct-horse"
NOW = 1_000_000.0
UPGRADE = ("Upgrade", "websocket")


def access(token: str | None = TOKEN, secrets: ClientSecrets | None = None) -> Access:
    """The rules under test."""
    return Access(token, secrets or ClientSecrets(lambda session: session), ["rt-realtime"], NOW)


def request_for(
    target: str = "/v1/realtime", *headers: tuple[str, str], method: str = "GET", body: bytes = b""
) -> PlainRequest:
    """A request; by default a WebSocket handshake."""
    return PlainRequest(method, target, [*headers, UPGRADE], body)


def decide(*args: Any, token: str | None = TOKEN, **kwargs: Any) -> Decision:
    """The decision about a request."""
    return access(token).decide(request_for(*args, **kwargs), NOW)


CARRIERS = [
    pytest.param("/v1/realtime", ("Authorization", "Bearer {}"), id="bearer"),
    pytest.param("/v1/realtime", ("authorization", "bearer  {} "), id="bearer, written otherwise"),
    pytest.param("/v1/realtime", ("api-key", "{}"), id="api-key"),
    pytest.param("/v1/realtime", ("X-API-Key", "{}"), id="X-API-Key"),
    pytest.param("/v1/realtime?model=x&api-key={}", ("X-Other", "1"), id="query"),
    pytest.param("/v1/realtime?api_key={}", ("X-Other", "1"), id="query with underscore"),
    pytest.param("/v1/realtime", ("Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.{}"), id="subprotocol"),
]


@pytest.mark.parametrize(("target", "header"), CARRIERS)
def test_key_in_every_place(target: str, header: tuple[str, str]) -> None:
    """The token is accepted in every place; the error does not repeat a wrong key."""
    name, value = header
    assert isinstance(decide(target.format(TOKEN), (name, value.format(TOKEN))), Admission)

    refused = decide(target.format("sk-wrong"), (name, value.format("sk-wrong")))

    assert isinstance(refused, Unauthorized)
    assert refused.error["code"] == "invalid_api_key"
    assert refused.reason == "invalid_request_error.invalid_api_key"
    assert "sk-wrong" not in json.dumps(refused.error)


@pytest.mark.parametrize("almost", ["", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é" * 13, "\udcff"])
def test_similar_keys_are_wrong(almost: str) -> None:
    """A key that only resembles the token is wrong."""
    assert isinstance(decide("/v1/realtime", ("api-key", almost)), Unauthorized)


def test_missing_key() -> None:
    """A missing key gets an error without a code."""
    refused = decide()
    assert isinstance(refused, Unauthorized)
    assert (refused.error["code"], refused.reason) == (None, "invalid_request_error")


@given(st.text(max_size=50))
def test_any_key_without_token(key: str) -> None:
    """A server without token accepts any key."""
    assert isinstance(decide("/v1/realtime", ("Authorization", f"Bearer {key}"), token=None), Admission)


@pytest.mark.parametrize(
    ("target", "session"),
    [
        ("/v1/realtime", {"type": "realtime"}),
        ("/v1/realtime/?model=gpt-realtime&what=ever", {"type": "realtime", "model": "gpt-realtime"}),
        ("/v1/realtime?intent=transcription", {"type": "transcription"}),
        ("/v1/realtime?model=any&intent=transcription", {"type": "transcription"}),
        ("/openai/v1/realtime?model=deployment", {"type": "realtime", "model": "deployment"}),
        ("/openai/realtime?api-version=1&deployment=d", {"type": "realtime", "model": "d"}),
        ("/openai/realtime?deployment=d&model=m", {"type": "realtime", "model": "m"}),
        ("/realtime", {"type": "realtime"}),
    ],
)
def test_paths_and_queries(target: str, session: dict[str, str]) -> None:
    """All known paths open a session; the query selects its type."""
    assert decide(target, token=None) == Admission(session)


@pytest.mark.parametrize(
    ("target", "method", "status"),
    [
        ("/", "GET", 404),
        ("", "GET", 404),
        ("/v1", "GET", 404),
        ("//v1/realtime", "GET", 404),
        ("http://[", "GET", 404),
        ("/v1/realtime/sessions", "POST", 404),
        ("/v1/realtime", "POST", 405),
        ("/v1/realtime", "HEAD", 405),
        ("/v1/models", "DELETE", 405),
        ("/v1/realtime/client_secrets", "GET", 405),
        ("/healthz", "POST", 405),
        ("/healthz", "HEAD", 200),
        ("/healthz?probe=1", "GET", 200),
        ("/v1/models", "GET", 200),
        ("/openai/v1/models", "HEAD", 200),
        ("/v1/models/rt-realtime", "GET", 200),
        ("/v1/models/other", "GET", 404),
        ("/v1/models/a/b", "GET", 404),
    ],
)
def test_answers_over_http(target: str, method: str, status: int) -> None:
    """Other requests get an HTTP status, and errors have a code."""
    answer = decide(target, token=None, method=method)
    assert isinstance(answer, Answer)
    assert answer.status == status
    assert (answer.code is None) == (status == HTTPStatus.OK)
    assert ("Allow" in answer.headers) == (status == HTTPStatus.METHOD_NOT_ALLOWED)


def test_the_list_of_models() -> None:
    """The list of models has OpenAI's shape."""
    answer = decide("/v1/models", token=None)
    assert isinstance(answer, Answer)
    model = {"id": "rt-realtime", "object": "model", "created": int(NOW), "owned_by": "rt"}
    assert answer.body == {"object": "list", "data": [model]}


@pytest.mark.parametrize(("target", "method"), [("/v1/models", "GET"), ("/v1/realtime/client_secrets", "POST")])
def test_http_needs_the_token_too(target: str, method: str) -> None:
    """Without token HTTP requests get 401, except the health check."""
    answer = decide(target, method=method)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert decide("/healthz") == Answer(HTTPStatus.OK, {"status": "ok"})


def test_plain_http_get() -> None:
    """A plain GET of the endpoint gets 426 with Upgrade: websocket."""
    answer = access(None).decide(PlainRequest("GET", "/v1/realtime", []), NOW)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers) == (426, {"Upgrade": "websocket"})


@pytest.mark.parametrize(
    ("origin", "host", "token", "welcome"),
    [
        ("http://localhost:3000", "127.0.0.1:8765", None, True),
        ("https://127.0.0.1", "127.0.0.1:8765", None, True),
        ("http://[::1]:80", "[::1]:8765", None, True),
        ("https://evil.example", "127.0.0.1:8765", None, False),
        ("null", "127.0.0.1:8765", None, False),
        ("http://localhost.evil.example", "localhost", None, False),
        ("http://[", "localhost", None, False),
        ("", "localhost", None, False),
        # DNS rebinding: the page's host is the request's host, which proves nothing.
        ("http://evil.example:8765", "evil.example:8765", None, False),
        ("https://voice.lan", "voice.lan", TOKEN, True),
        ("https://voice.lan:1", "voice.lan", TOKEN, False),
        ("https://evil.example", "voice.lan", TOKEN, False),
    ],
)
def test_origins(origin: str, host: str, token: str | None, *, welcome: bool) -> None:
    """Pages from loopback are allowed, with a token also pages from the same host; others get 403."""
    key = ("api-key", TOKEN)
    decision = decide("/v1/realtime", ("Origin", origin), ("Host", host), key, token=token)
    assert isinstance(decision, Admission) == welcome
    assert welcome or (isinstance(decision, Answer) and decision.status == HTTPStatus.FORBIDDEN)


def test_two_origins() -> None:
    """Every Origin header must be allowed."""
    origins = (("Origin", "http://localhost"), ("Origin", "https://evil.example"))
    assert isinstance(decide("/v1/realtime", *origins, token=None), Answer)


def test_subprotocols() -> None:
    """The answer repeats the protocol, never a key."""
    assert choose_subprotocol(["openai-insecure-api-key.sk-1", "realtime"]) == "realtime"
    assert choose_subprotocol(["openai-insecure-api-key.sk-1"]) is None


def create_secret(rules: Access, body: Any = None, now: float = NOW) -> Answer:
    """The answer of POST client_secrets."""
    content = b"" if body is None else json.dumps(body).encode()
    request = request_for("/v1/realtime/client_secrets", ("api-key", TOKEN), method="POST", body=content)
    answer = rules.decide(request, now)
    assert isinstance(answer, Answer)
    return answer


def test_an_ephemeral_key() -> None:
    """An ephemeral key opens sessions of its type until it expires, and cannot create another key."""
    rules = access()
    session = {"type": "transcription", "include": []}
    body = create_secret(rules, {"session": session, "expires_after": {"anchor": "created_at", "seconds": 10}}).body
    opened = request_for("/v1/realtime", ("Authorization", f"Bearer {body['value']}"))

    assert body["value"].startswith("ek_")
    assert body["expires_at"] == NOW + 10
    assert body["session"]["id"].startswith("sess_")
    assert rules.decide(opened, NOW) == rules.decide(opened, NOW + 9) == Admission(session)
    assert isinstance(rules.decide(opened, NOW + 10), Unauthorized)
    assert isinstance(access().decide(opened, NOW), Unauthorized)  # another server's
    more = request_for("/v1/realtime/client_secrets", ("api-key", body["value"]), method="POST")
    assert rules.decide(more, NOW).status == HTTPStatus.UNAUTHORIZED  # type: ignore[union-attr]  # it is an Answer


def test_an_ephemeral_key_by_default() -> None:
    """With an empty body the session is a conversation, and the key is valid for ten minutes."""
    body = create_secret(access()).body
    assert (body["expires_at"], body["session"]["type"]) == (NOW + 600, "realtime")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": True}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "later"}}, "expires_after.anchor"),
        ({"expires_after": 5}, "expires_after.anchor"),
    ],
)
def test_bad_ephemeral_key_request(body: Any, param: str | None) -> None:
    """A bad request is rejected, and the error names the field."""
    answer = create_secret(access(), body)
    assert answer.status == HTTPStatus.BAD_REQUEST
    assert answer.body["error"]["param"] == param


def test_ephemeral_keys_are_limited() -> None:
    """Above the limit a new key removes the oldest one."""
    secrets = ClientSecrets(lambda session: session)
    values = [secrets.mint(b"", NOW)["value"] for _ in range(MOST + 1)]
    assert secrets.redeem(values[0], NOW) is None
    assert all(secrets.redeem(value, NOW) for value in values[1:])


@given(st.binary(max_size=100))
def test_any_body(body: bytes) -> None:
    """Any body gets an answer."""
    answer = access(None).decide(request_for("/v1/realtime/client_secrets", method="POST", body=body), NOW)
    assert isinstance(answer, Answer)
    assert answer.status in {200, 400}


@given(st.text(max_size=60), st.lists(st.tuples(st.text(max_size=12), st.text(max_size=30)), max_size=4))
def test_any_request(target: str, headers: list[tuple[str, str]]) -> None:
    """Any request gets a decision; without the token no session opens."""
    assert not isinstance(decide(target, *headers), Admission)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_off_loopback(host: str) -> None:
    """Listening on other addresses needs a token."""
    with pytest.raises(UsageError, match="loopback") as refused:
        listening_address(host, None)
    assert "--token-file" in (refused.value.hint or "")
    if host:
        assert listening_address(host, TOKEN) == host


def test_loopback() -> None:
    """Listening on loopback works with and without a token. A name of this machine is not looked up."""
    assert listening_address("localhost", None) == "127.0.0.1"
    assert listening_address("rt.localhost", None) == "127.0.0.1"
    assert listening_address("::1", TOKEN) == "::1"
