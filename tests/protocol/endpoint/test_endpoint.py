"""Completion of URLs, and the endpoint for the settings."""

from __future__ import annotations

from base64 import b64decode
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects import AZURE, OPENAI
from rt_cli.protocol.endpoint.endpoint import EMBEDDED_MODEL, Choice, choose, resolve
from rt_cli.protocol.endpoint.url import is_loopback, parse_address
from rt_cli.settings import EndpointSettings

T = "intent=transcription"

URLS = [
    ("https://api.openai.com", f"wss://api.openai.com/v1/realtime?{T}"),
    ("https://api.openai.com/", f"wss://api.openai.com/v1/realtime?{T}"),
    ("https://api.openai.com/v1", f"wss://api.openai.com/v1/realtime?{T}"),
    ("https://api.openai.com/v1/", f"wss://api.openai.com/v1/realtime?{T}"),
    ("https://api.openai.com/v1/realtime", f"wss://api.openai.com/v1/realtime?{T}"),
    ("https://api.openai.com/v1/realtime/", f"wss://api.openai.com/v1/realtime?{T}"),
    ("wss://api.openai.com/v1/realtime?intent=transcription", f"wss://api.openai.com/v1/realtime?{T}"),
    ("HTTPS://API.OpenAI.com", f"wss://api.openai.com/v1/realtime?{T}"),
    ("  https://api.openai.com\n", f"wss://api.openai.com/v1/realtime?{T}"),
    ("http://localhost:8765", f"ws://localhost:8765/v1/realtime?{T}"),
    ("ws://127.0.0.1:8765/v1", f"ws://127.0.0.1:8765/v1/realtime?{T}"),
    ("localhost:8765", f"ws://localhost:8765/v1/realtime?{T}"),
    ("localhost", f"ws://localhost/v1/realtime?{T}"),
    ("127.0.0.1:8765/v1/realtime", f"ws://127.0.0.1:8765/v1/realtime?{T}"),
    ("[::1]:8765", f"ws://[::1]:8765/v1/realtime?{T}"),
    ("http://[::1]:8765/v1", f"ws://[::1]:8765/v1/realtime?{T}"),
    ("wss://[2001:DB8:0::1]", f"wss://[2001:db8::1]/v1/realtime?{T}"),
    ("https://r.openai.azure.com", f"wss://r.openai.azure.com/openai/v1/realtime?{T}"),
    ("https://r.openai.azure.com/openai", f"wss://r.openai.azure.com/openai/v1/realtime?{T}"),
    ("https://r.openai.azure.com/openai/v1/", f"wss://r.openai.azure.com/openai/v1/realtime?{T}"),
    ("wss://r.cognitiveservices.azure.com/v1", f"wss://r.cognitiveservices.azure.com/openai/v1/realtime?{T}"),
    ("https://r.services.ai.azure.com", f"wss://r.services.ai.azure.com/openai/v1/realtime?{T}"),
    ("https://api.x.ai", "wss://api.x.ai/v1/stt"),
    ("https://api.x.ai/v1", "wss://api.x.ai/v1/stt"),
    ("wss://api.x.ai/v1/stt?diarize=true", "wss://api.x.ai/v1/stt?diarize=true"),
    ("wss://api.x.ai/v1/realtime", "wss://api.x.ai/v1/realtime"),
    (
        "https://r.services.ai.azure.com/voice-live/realtime",
        "wss://r.services.ai.azure.com/voice-live/realtime?api-version=2026-07-15&model=gpt-realtime",
    ),
    (
        "https://eastus.api.cognitive.microsoft.com?agent-name=a&api-version=2025-10-01",
        "wss://eastus.api.cognitive.microsoft.com/voice-live/realtime?agent-name=a&api-version=2025-10-01",
    ),
    ("https://dashscope-intl.aliyuncs.com", "wss://dashscope-intl.aliyuncs.com/api-ws/v1/realtime"),
    ("https://w.cn-beijing.maas.aliyuncs.com/", "wss://w.cn-beijing.maas.aliyuncs.com/api-ws/v1/realtime"),
    ("http://host:8000/v1/realtime?model=whisper&x=", f"ws://host:8000/v1/realtime?model=whisper&x=&{T}"),
    ("http://host/v1/realtime?intent=conversation", "ws://host/v1/realtime?intent=conversation"),
    ("https://host/gateway", f"wss://host/gateway/v1/realtime?{T}"),
    ("https://host/api/v3", f"wss://host/api/v3/realtime?{T}"),
    (
        "https://host/api/v1/realtime/session?protocol=realtime",
        f"wss://host/api/v1/realtime/session?protocol=realtime&{T}",
    ),
    ("https://user:pass@host/v1", f"wss://host/v1/realtime?{T}"),
    ("https://bücher.example", f"wss://xn--bcher-kva.example/v1/realtime?{T}"),
    ("https://host/größe/v1", f"wss://host/gr%C3%B6%C3%9Fe/v1/realtime?{T}"),
    ("https://host:443/v1?name=a%20b", f"wss://host:443/v1/realtime?name=a+b&{T}"),
    ("http://my_service.internal.", f"ws://my_service.internal./v1/realtime?{T}"),
]


@pytest.mark.parametrize(("text", "expected"), URLS, ids=[text.strip() for text, _ in URLS])
def test_a_url_is_completed(text: str, expected: str) -> None:
    """Missing scheme, version and path are added; the given parts stay."""
    assert expected == parse_address(text).url


@pytest.mark.parametrize(("text", "expected"), URLS, ids=[text.strip() for text, _ in URLS])
def test_a_completed_url_stays_unchanged(text: str, expected: str) -> None:
    """Parsing a result again changes nothing."""
    assert parse_address(parse_address(text).url).url == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "api.openai.com",
        "example.com:8080/v1",
        "//localhost:1",
        "ftp://host",
        "file:///etc/passwd",
        "https://",
        "https:///v1",
        "https://:8080",
        "https://host:port",
        "https://host:0",
        "https://host:99999",
        "https://ho st/",
        "https://host/a b",
        "https://host\t/",
        "https://ho\nst",
        "https://host/\x1b[2J",
        "https://evil.example\\@api.openai.com",
        "https://[::1",
        "https://[nonsense]",
        "[::1",
        "https://[fe80::12345]",
        "https://b\u00fccher..example",
        "https://host#fragment",
        "https://-host-",
        "https://..",
        "https://api.openai.com/v1/realtime?model=gpt-realtime",
        "https://api.openai.com/v1/realtime?intent=realtime",
        "https://r.openai.azure.com/openai/realtime?api-version=2025-04-01-preview&deployment=d",
        "https://r.openai.azure.com/openai/v1/realtime?model=d",
    ],
    ids=repr,
)
def test_an_invalid_url_is_a_usage_error_with_a_hint(text: str) -> None:
    """Before any connection, on one line, with an example."""
    with pytest.raises(UsageError) as caught:
        parse_address(text)

    assert caught.value.hint
    assert str(caught.value).isprintable()


@given(st.text() | st.text().map("https://host/".__add__) | st.text().map("ws://".__add__))
def test_any_text_is_a_url_or_a_usage_error(text: str) -> None:
    """No other exception; a result is a printable ASCII WebSocket URL with a host."""
    try:
        url = parse_address(text).url
    except UsageError:
        return
    assert url.isascii()
    assert url.isprintable()
    assert urlsplit(url).scheme in {"ws", "wss"}
    assert urlsplit(url).hostname


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:s3cr3t@host/v1", f"wss://host/v1/realtime?{T}"),
        ("https://host/v1?api-key=s3cr3t&a=b", f"wss://host/v1/realtime?api-key=***&a=b&{T}"),
        ("https://host/v1?access_token=s3cr3t", f"wss://host/v1/realtime?access_token=***&{T}"),
        ("https://host/v1?sig=s3cr3t", f"wss://host/v1/realtime?sig=***&{T}"),
        ("https://host/v1?codec=pcm&max_tokens=5", f"wss://host/v1/realtime?codec=pcm&max_tokens=5&{T}"),
    ],
    ids=["userinfo", "api-key", "token", "signature", "no secret"],
)
def test_the_displayed_url_has_no_secrets(text: str, expected: str) -> None:
    """The displayed URL and the repr of the endpoint are safe for any log."""
    endpoint = resolve(EndpointSettings(), text, None)

    assert expected == endpoint.shown
    assert "s3cr3t" not in repr(endpoint)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("api.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("192.168.0.1", False),
        ("localhost.example.com", False),
        ("notlocalhost", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, expected: bool) -> None:  # noqa: FBT001 - a table of facts
    """A name that only looks local is not."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("url", "named", "expected"),
    [
        ("https://api.openai.com", None, OPENAI),
        ("https://eu.api.openai.com", "auto", OPENAI),
        ("https://r.openai.azure.com", None, AZURE),
        ("https://r.openai.azure.com.evil.example", None, OPENAI),
        ("https://gateway.example", "azure", AZURE),
        ("https://r.openai.azure.com", "openai", OPENAI),
    ],
    ids=["openai", "region", "azure", "look-alike", "named", "overruled"],
)
def test_the_dialect_depends_on_the_host_unless_named(url: str, named: str | None, expected: object) -> None:
    """``auto`` selects by host; a name always wins."""
    assert parse_address(url, named).dialect is expected


def test_an_unknown_dialect_is_a_usage_error_with_a_suggestion() -> None:
    """A misspelt name gets a suggestion."""
    with pytest.raises(UsageError, match="did you mean azure"):
        parse_address("https://host", "azur")


GATEWAY = "http://localhost:4000/v1"


@pytest.mark.parametrize("url", ["nonsense", "ftp://h", "http://", "https://h/#x", "http://h:99999", "https://a b"])
def test_a_base_url_that_is_none_is_named(url: str) -> None:
    """The variable, not only the URL: it may have been set long ago."""
    with pytest.raises(UsageError, match="OPENAI_BASE_URL"):
        choose(EndpointSettings(), {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "k"})


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://gw.example", "wss://gw.example/v1/realtime?intent=transcription"),
        ("https://gw.example/v1/", "wss://gw.example/v1/realtime?intent=transcription"),
        ("wss://gw.example/openai/v1", "wss://gw.example/openai/v1/realtime?intent=transcription"),
        ("http://localhost:4000", "ws://localhost:4000/v1/realtime?intent=transcription"),
        ("ws://127.0.0.1:4000/v1", "ws://127.0.0.1:4000/v1/realtime?intent=transcription"),
    ],
)
def test_forms_of_the_base_url(base: str, url: str) -> None:
    """As for any URL."""
    choice = choose(EndpointSettings(), {"OPENAI_BASE_URL": base, "OPENAI_API_KEY": "k"})
    assert choice.url is not None
    assert resolve(EndpointSettings(), choice.url, "k").url == url


def test_no_key_goes_to_a_base_url_unencrypted() -> None:
    """Off this machine."""
    choice = choose(EndpointSettings(), {"OPENAI_BASE_URL": "http://gw.example/v1", "OPENAI_API_KEY": "k"})
    assert choice.url is not None
    with pytest.raises(UsageError, match="unencrypted"):
        resolve(EndpointSettings(), choice.url, "k")


@pytest.mark.parametrize(
    ("settings", "environ", "expected"),
    [
        ({"local": True, "url": "https://h"}, {"OPENAI_API_KEY": "k"}, Choice("embedded", None, "--local")),
        ({"url": "https://h"}, {"OPENAI_API_KEY": "k"}, Choice("url", "https://h", "a URL was given")),
        ({"url": "https://h", "profile": "work"}, {}, Choice("url", "https://h", "profile work")),
        ({}, {"OPENAI_API_KEY": "k"}, Choice("openai", "https://api.openai.com", "OPENAI_API_KEY is set")),
        ({}, {"OPENAI_API_KEY": " "}, Choice("embedded", None, "no endpoint is configured")),
        ({}, {"RT_API_KEY": "k"}, Choice("embedded", None, "no endpoint is configured")),
        ({}, {"AZURE_OPENAI_API_KEY": "k"}, Choice("embedded", None, "no endpoint is configured")),
        ({}, {"OPENAI_BASE_URL": GATEWAY}, Choice("embedded", None, "no endpoint is configured")),
        ({}, {"OPENAI_BASE_URL": GATEWAY, "RT_API_KEY": "k"}, Choice("embedded", None, "no endpoint is configured")),
        (
            {},
            {"OPENAI_BASE_URL": f" {GATEWAY} ", "OPENAI_API_KEY": "k"},
            Choice("openai", GATEWAY, "OPENAI_API_KEY and OPENAI_BASE_URL are set"),
        ),
        (
            {},
            {"OPENAI_BASE_URL": " ", "OPENAI_API_KEY": "k"},
            Choice("openai", "https://api.openai.com", "OPENAI_API_KEY is set"),
        ),
        (
            {"url": "https://h"},
            {"OPENAI_BASE_URL": GATEWAY, "OPENAI_API_KEY": "k"},
            Choice("url", "https://h", "a URL was given"),
        ),
        (
            {"local": True},
            {"OPENAI_BASE_URL": GATEWAY, "OPENAI_API_KEY": "k"},
            Choice("embedded", None, "--local"),
        ),
    ],
    ids=[
        *("local", "url", "profile", "openai", "blank key", "key without url", "azure key alone"),
        *("base alone", "base with another key", "base", "blank base", "url above base", "local above base"),
    ],
)
def test_the_choice_of_the_endpoint(settings: dict[str, object], environ: dict[str, str], expected: Choice) -> None:
    """``--local``, else the URL, else OpenAI if its key is set, else the embedded one; and the reason."""
    assert expected == choose(EndpointSettings(**settings), environ)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        EndpointSettings(api_key_file="f"),
        EndpointSettings(api_key_cmd="c"),
        EndpointSettings(key_env="V"),
        EndpointSettings(dialect="azure"),
    ],
    ids=["file", "command", "variable", "dialect"],
)
def test_a_key_without_an_endpoint_is_a_usage_error(settings: EndpointSettings) -> None:
    """The embedded endpoint instead would hide that the URL is missing."""
    with pytest.raises(UsageError, match="--url"):
        choose(settings, {})


def test_an_unknown_dialect_is_an_error_with_local_too() -> None:
    """Although ``--local`` does not use the dialect."""
    with pytest.raises(UsageError, match="unknown dialect"):
        choose(EndpointSettings(local=True, dialect="azur"), {})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.openai.com", (("Authorization", "Bearer k"),)),
        ("https://r.openai.azure.com", (("api-key", "k"),)),
        ("ws://localhost:1", (("Authorization", "Bearer k"),)),
    ],
    ids=["openai", "azure", "loopback"],
)
def test_the_key_header_depends_on_the_dialect(url: str, expected: object) -> None:
    """Bearer or ``api-key``; never a beta header."""
    assert expected == resolve(EndpointSettings(), url, "k").headers


def test_without_a_key_there_is_no_header() -> None:
    """A server that wants no key gets none."""
    assert resolve(EndpointSettings(), "https://host", None).headers == ()


def test_user_and_password_become_a_header() -> None:
    """The URL no longer has them, and they are unquoted."""
    ((name, value),) = resolve(EndpointSettings(), "https://us%40er:p%3Ass@host", None).headers

    assert name == "Authorization"
    assert b64decode(value.removeprefix("Basic ")) == b"us@er:p:ss"


def test_two_credentials_for_one_header_are_refused() -> None:
    """A key and a user in the URL: ``rt`` does not guess."""
    with pytest.raises(UsageError, match="both"):
        resolve(EndpointSettings(), "https://user:pass@host", "k")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://host", "k"),
        ("ws://192.168.1.2:8765", "k"),
        ("ws://user:pass@host", None),
        ("ws://host?api_key=k", None),
        ("ws://localhost.example.com", "k"),
    ],
    ids=["http", "lan", "userinfo", "query", "look-alike"],
)
def test_no_key_travels_unencrypted(url: str, key: str | None) -> None:
    """Plain ``ws`` carries keys on loopback only."""
    with pytest.raises(UsageError, match="unencrypted"):
        resolve(EndpointSettings(), url, key)


def test_plain_ws_without_a_key_is_allowed() -> None:
    """A server on the local network may have neither certificate nor key."""
    assert resolve(EndpointSettings(), "ws://192.168.1.2:8765", None).url.startswith("ws://192.168.1.2:8765/")


def test_the_model_is_the_users_or_the_default() -> None:
    """The embedded endpoint has its own default."""
    default, mine = EndpointSettings(), EndpointSettings(model="m")

    assert resolve(default, "https://h", None).model == "gpt-live-transcribe"
    assert resolve(default, "ws://localhost:1", None, embedded=True).model == EMBEDDED_MODEL
    assert resolve(mine, "ws://localhost:1", None, embedded=True).model == "m"
