"""A recording has no secrets, and nothing else is removed."""

from __future__ import annotations

import json
from base64 import b64encode
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.protocol.redaction import Redactor, secrets_of
from rt_cli.settings import EndpointSettings

KEY = "canary/5e9f1c7ab2d84+8f0e"
PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def secrets(url: str, key: str | None = None) -> tuple[str, ...]:
    """Return the secrets of an endpoint."""
    return secrets_of(resolve(EndpointSettings(), url, key))


@given(PRINTABLE, JSON, st.text(max_size=10))
def test_a_secret_is_nowhere_in_a_line(secret: str, value: object, before: str) -> None:
    """For any secret and any surrounding text, in values and in names."""
    redactor = Redactor((secret,))
    said = {before: value, f"{before}{secret}": [f"{before}{secret}{before}", {"x": secret}]}
    for ascii_only in (True, False):
        line = json.dumps(redactor.fields(said), ensure_ascii=ascii_only)
        assert json.dumps(secret)[1:-1] not in line
        assert json.loads(line) == redactor.fields(said)
    assert secret not in redactor.text(f"{before}{secret}{before}")
    assert json.dumps(secret)[1:-1] not in redactor.text(json.dumps(said))


def test_a_secret_of_digits_is_masked_in_numbers() -> None:
    """The line stays valid JSON."""
    assert Redactor(("12345678",)).fields({"expires_at": 1123456789, "n": 1}) == {"expires_at": "***", "n": 1}


@pytest.mark.parametrize(
    ("url", "key", "expected"),
    [
        pytest.param("wss://api.openai.com", KEY, {KEY}, id="bearer"),
        pytest.param("wss://x.openai.azure.com", KEY, {KEY}, id="azure's header"),
        pytest.param(f"wss://host.example/?token={KEY}", None, {KEY}, id="query"),
        pytest.param("wss://h.example/?sig=a%2Fbcdefghij&x=1", None, {"a/bcdefghij"}, id="query, quoted"),
        pytest.param("wss://h.example/?token=short", None, set(), id="too short to be one"),
        pytest.param("wss://h.example/?language=someotherthing", None, set(), id="no secret"),
    ],
)
def test_secrets_of_an_endpoint(url: str, key: str | None, expected: set[str]) -> None:
    """Keys of headers and of the query are found."""
    found = set(secrets(url.replace("+", "%2B"), key))
    assert expected <= found
    assert {unquote(text) for text in found} <= expected


def test_the_password_of_a_url_is_a_secret() -> None:
    """In plain and in base64."""
    found = secrets("wss://me:open-sesame@h.example/")
    assert set(found) == {"open-sesame", b64encode(b"me:open-sesame").decode()}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"client_secret": {"value": KEY, "expires_at": 1}}, id="client secret"),
        pytest.param({"session": {"tools": [{"authorization": KEY, "headers": {"X-Any": KEY}}]}}, id="tools"),
        pytest.param({"api_key": KEY}, id="api_key"),
        pytest.param({"apiKey": KEY, "access_token": KEY, "Password": KEY}, id="other spellings"),
        pytest.param({"message": "got sk-proj-abcdefghijklmnopqrst"}, id="looks like one"),
        pytest.param({"protocols": "realtime, openai-insecure-api-key.canary"}, id="disguised as subprotocol"),
    ],
)
def test_unknown_secrets_are_masked(fields: dict[str, object]) -> None:
    """By field name, and by the shape of a key."""
    redactor = Redactor(())
    line = json.dumps(redactor.fields(fields))
    assert "***" in line
    assert "canary" not in line
    assert "abcdefghijklmnopqrst" not in line
    json.loads(line)


@pytest.mark.parametrize(
    "fields",
    [
        {"transcript": "the bearer of news, a token: gesture; password = secret"},
        {"delta": " sk-learn, risk-averse, ek-"},
        {"logprobs": [{"token": "Hello", "logprob": -0.1}]},
        {"max_output_tokens": "inf", "usage": {"input_tokens": 3}, "keywords": ["key"]},
        {"audio": "sk" * 40},
    ],
)
def test_ordinary_text_stays(fields: dict[str, object]) -> None:
    """Text without secrets is unchanged, so that a replay is exact."""
    redactor = Redactor((KEY,))
    assert redactor.fields(fields) == fields


def test_only_harmless_headers_keep_their_values() -> None:
    """All names stay."""
    redactor = Redactor((KEY,))
    headers = [("Host", "h.example"), ("Authorization", f"Bearer {KEY}"), ("X-Team", "us"), ("Server", f"x {KEY}")]
    expected = [["Host", "h.example"], ["Authorization", "***"], ["X-Team", "***"], ["Server", "x ***"]]
    assert redactor.headers(headers) == expected
