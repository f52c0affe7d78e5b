"""Keys and TLS with real clients: the official package, requests as from a browser, and certificates."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from rt_cli.errors import UsageError
from rt_cli.server.access.tls import server_context
from rt_cli.server.server import LocalServer, serve
from tests.fakes import run
from tests.server.client import session
from tests.servers import CERTIFICATE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKEN = "a-token-of-the-tests"


def official(server: LocalServer, key: str = TOKEN) -> AsyncOpenAI:
    """OpenAI's own client, with this server as base URL."""
    return AsyncOpenAI(api_key=key, base_url=f"http://127.0.0.1:{server.port}/v1", max_retries=0)


async def first_event(client: AsyncOpenAI, **options: Any) -> dict[str, Any]:
    """The first event of a session."""
    async with client.realtime.connect(**options) as connection:
        event = await connection.recv()
        return event.to_dict()


def test_the_right_key() -> None:
    """The official client opens both types of session with the token."""

    async def scenario() -> list[str]:
        async with serve(recognizer="none", token=TOKEN) as server, official(server) as client:
            kinds: list[dict[str, Any]] = [{"model": "gpt-realtime"}, {"extra_query": {"intent": "transcription"}}]
            begun = [await first_event(client, **kind) for kind in kinds]
            return [event["session"]["type"] for event in begun]

    assert run(scenario()) == ["realtime", "transcription"]


def test_a_wrong_key() -> None:
    """A wrong key gets an error event and close 3000, as at OpenAI; over HTTP 401."""

    async def scenario() -> tuple[dict[str, Any], int | None]:
        async with serve(recognizer="none", token=TOKEN) as server, official(server, "sk-wrong") as client:
            with pytest.raises(AuthenticationError):
                await client.models.list()
            with pytest.raises(AuthenticationError):
                await client.realtime.client_secrets.create()
            async with client.realtime.connect(model="gpt-realtime") as connection:
                event = await connection.recv()
                with pytest.raises(ConnectionClosed) as closed:
                    await connection.recv()
                return event.to_dict(), closed.value.rcvd.code if closed.value.rcvd else None

    event, code = run(scenario())
    assert event["error"]["code"] == "invalid_api_key"
    assert "wrong" not in json.dumps(event)
    assert code == 3000


def test_models() -> None:
    """The list of models, one model, and an unknown model."""

    async def scenario() -> list[str]:
        async with serve(recognizer="none") as server, official(server) as client:
            models = await client.models.list()
            assert (await client.models.retrieve("rt-realtime")).owned_by == "rt"
            with pytest.raises(NotFoundError):
                await client.models.retrieve("gpt-realtime")
            return [model.id for model in models.data]

    assert run(scenario()) == ["rt-realtime", "rt-transcribe"]


def test_an_ephemeral_key() -> None:
    """The token creates an ephemeral key; a session with that key has the configured settings."""
    wanted: Any = {"type": "realtime", "instructions": "Be brief.", "audio": {"input": {"turn_detection": None}}}

    async def scenario() -> tuple[dict[str, Any], dict[str, Any]]:
        async with serve(recognizer="none", token=TOKEN) as server, official(server) as client:
            made = await client.realtime.client_secrets.create(session=wanted)
            async with session(
                server.url, "", subprotocols=["realtime", f"openai-insecure-api-key.{made.value}"]
            ) as browser:
                return made.session.to_dict(), browser.seen[0]["session"]

    promised, begun = run(scenario())
    for described in (promised, begun):
        assert described["instructions"] == "Be brief."
        assert described["audio"]["input"]["turn_detection"] is None


@pytest.mark.parametrize("query", ["", "?intent=transcription"])
def test_an_ephemeral_key_for_a_transcription(query: str) -> None:
    """The URL's intent does not change the session of a transcription key."""
    transcription = {"model": "any", "language": "en"}
    wanted: Any = {
        "type": "transcription",
        "audio": {"input": {"transcription": transcription, "turn_detection": None}},
    }

    async def scenario() -> dict[str, Any]:
        async with serve(recognizer="none") as server, official(server) as client:
            made = await client.realtime.client_secrets.create(session=wanted)
            protocols = ["realtime", f"openai-insecure-api-key.{made.value}"]
            async with session(server.url, query, subprotocols=protocols) as browser:
                begun: dict[str, Any] = browser.seen[0]["session"]
                return begun

    begun = run(scenario())
    assert begun["type"] == "transcription"
    assert (begun["audio"]["input"]["transcription"], begun["audio"]["input"]["turn_detection"]) == (
        transcription,
        None,
    )


def test_an_ephemeral_key_for_a_bad_session() -> None:
    """An invalid session is rejected when the key is created, and the error names the field."""
    wrong: Any = {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 1}}}}

    async def scenario() -> Any:
        async with serve(recognizer="none") as server, official(server) as client:
            with pytest.raises(BadRequestError) as refused:
                await client.realtime.client_secrets.create(session=wrong)
            return refused.value.param

    assert run(scenario()) == "session.audio.input.format.rate"


def test_model_from_the_url() -> None:
    """The session has the model name from the URL."""

    async def scenario() -> dict[str, Any]:
        async with serve(recognizer="none") as server, official(server) as client:
            return await first_event(client, model="my-model")

    assert run(scenario())["session"]["model"] == "my-model"


def test_tls() -> None:
    """With a certificate the URL is wss, and a client that trusts the certificate connects."""

    async def scenario() -> str:
        tls = server_context(CERTIFICATE, None)
        async with serve(recognizer="none", tls=tls) as server:
            trusting = ssl.create_default_context(cafile=CERTIFICATE)
            async with session(server.url.replace("127.0.0.1", "localhost"), ssl=trusting) as client:
                await client.barrier()
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(server.url, ssl=ssl.create_default_context())
            return server.url

    assert run(scenario()).startswith("wss://127.0.0.1:")


def _pem(kind: str) -> str:
    begin, end = f"-----BEGIN {kind}-----", f"-----END {kind}-----"
    text = CERTIFICATE.read_text()
    return begin + text.split(begin)[1].split(end)[0] + end + "\n"


ENCRYPTED = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjF5Iity3X/ewICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEECeRB8hDd4x/YPHRNP6fIbcEgZCG
p1San8hUh0w5ShlZiFRgJ1o5pFMIn+2ggOUIJhRt1D+NgGn39eT6jElGckUChgEF
04WW5kwB2/W58zyCPXKDfRd2lHZ6XpSxEBxzr3oIqFDXxhmRvlFYbua3mrFCQgwA
PgfLIeYSshGnU1j85sImFQXg+L61x3I0YBFMkUgO+ZkkTPEV7Fy/3r09sN67MRo=
-----END ENCRYPTED PRIVATE KEY-----
"""
"""The key of the tests' certificate, behind a passphrase."""


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        pytest.param(lambda: None, lambda: None, "cannot read .*cert.pem", id="no such file"),
        pytest.param(lambda: "", lambda: None, "no PEM", id="empty"),
        pytest.param(lambda: _pem("CERTIFICATE"), lambda: None, "cannot use the certificate", id="no key"),
        pytest.param(lambda: _pem("CERTIFICATE"), lambda: "x", "cannot use the certificate", id="no key in the file"),
        pytest.param(lambda: _pem("CERTIFICATE"), lambda: ENCRYPTED, "key is encrypted", id="encrypted"),
    ],
)
def test_bad_certificates(
    tmp_path: Path, certificate: Callable[[], str | None], key: Callable[[], str | None], said: str
) -> None:
    """The error is one line, without a prompt on the terminal."""
    paths = {name: tmp_path / f"{name}.pem" for name in ("cert", "key")}
    for path, text in zip(paths.values(), (certificate(), key()), strict=True):
        if text is not None:
            path.write_text(text)
    with pytest.raises(UsageError, match=said) as refused:
        server_context(paths["cert"], paths["key"] if paths["key"].exists() else None)
    assert "--certfile" in (refused.value.hint or "")


def test_certificate_and_key_in_two_files(tmp_path: Path) -> None:
    """Certificate and key may be in two files."""
    kind = next(line for line in CERTIFICATE.read_text().splitlines() if "PRIVATE KEY" in line)[11:-5]
    (tmp_path / "cert.pem").write_text(_pem("CERTIFICATE"))
    (tmp_path / "key.pem").write_text(_pem(kind))
    assert server_context(tmp_path / "cert.pem", tmp_path / "key.pem").get_ca_certs() == []
