"""Access control: decides about each HTTP request. Pure.

The module stores only the digest of the token. No answer contains a key.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from rt_cli.errors import UsageError
from rt_cli.protocol.endpoint.url import is_loopback
from rt_cli.server.session.wire import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rt_cli.server.access.client_secrets import ClientSecrets
    from rt_cli.server.access.plain_http import BadRequest, PlainRequest

PATH = "/v1/realtime"
MODELS = ("rt-realtime", "rt-transcribe")
"""Models in ``/v1/models``; a session accepts any name."""
SUBPROTOCOL = "realtime"
UNAUTHORIZED_CLOSE = 3000
"""Close code of OpenAI for a wrong key."""
_KEY_SUBPROTOCOL = "openai-insecure-api-key."
_KEY_HEADERS = ("api-key", "x-api-key")
_KEY_PARAMETERS = ("api-key", "api_key")
_MODEL_PARAMETERS = ("model", "deployment")
"""Query parameters of OpenAI's and of Azure's clients that name the model; the first that is there."""
_PREFIXES = ("/openai/v1", "/openai", "/v1", "")
"""Path prefixes of Azure and OpenAI, and of clients whose base URL lacks the prefix."""
_READ = ("GET", "HEAD")
_TRANSLATIONS = "/realtime/translations"
_METHODS = {"/realtime": ("GET",), _TRANSLATIONS: ("GET",), "/realtime/client_secrets": ("POST",), "/models": _READ}
_MODEL_PATH = re.compile(r"/models/[^/]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; the connection closes afterwards."""

    status: HTTPStatus
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str | None:
        """The error code; None: no error, or an error without code."""
        error = self.body.get("error")
        return error["code"] if error else None


@dataclass(frozen=True, slots=True)
class Admission:
    """Permission to start a session."""

    session: Mapping[str, Any]
    """Initial ``session.update``: ``type`` and ``model`` from the URL, or the validated session of an ephemeral key."""


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """No valid key: the WebSocket opens, sends this ``error`` and closes with 3000 and this reason, as at OpenAI."""

    error: Mapping[str, Any]
    reason: str


Decision = Answer | Admission | Unauthorized


class Access:
    """The access rules of a server.

    Args:
        token: Required key; None: any key, or no key, is accepted.
        secrets: Ephemeral keys; accepted for sessions, like the token.
        models: Models in ``/v1/models``.
        created: Start of the server, seconds since the epoch.
    """

    def __init__(self, token: str | None, secrets: ClientSecrets, models: Sequence[str], created: float) -> None:
        self._digest = None if token is None else _digest(token)
        self._secrets = secrets
        self._models = {name: _model(name, int(created)) for name in models}

    def decide(self, request: PlainRequest, now: float) -> Decision:
        """Decide about a request.

        Args:
            request: The request, untrusted.
            now: Seconds since the epoch.
        """
        path, _, query = request.target.partition("?")
        path = path.rstrip("/")
        headers = _Headers(request.headers)
        if path == "/healthz":
            return _ok({"status": "ok"}) if request.method in _READ else _wrong_method(_READ)
        resource = _resource(path)
        if resource is None:
            return _error(HTTPStatus.NOT_FOUND, "not_found", f"The endpoint is at {PATH}.")
        if any(not self._is_allowed_origin(origin, headers) for origin in headers.all("origin")):
            message = "Pages of other sites must not use this endpoint."
            return _error(HTTPStatus.FORBIDDEN, "forbidden_origin", message)
        allowed = _METHODS.get(resource, _READ)
        if request.method not in allowed:
            return _wrong_method(allowed)
        parameters = parse_qs(query)
        keys = list(_keys(headers, parameters))
        if resource in {"/realtime", _TRANSLATIONS}:
            decision = self._open(headers, parameters, keys, now)
            return _translation(parameters) if resource == _TRANSLATIONS and _admits(decision) else decision
        if not self._is_token(keys):  # an ephemeral key opens sessions only; it cannot create more keys
            return _unauthorized(keys)
        if resource == "/realtime/client_secrets":
            return self._mint(request.body, now)
        return self._list(resource)

    def _open(
        self, headers: _Headers, parameters: Mapping[str, Sequence[str]], keys: Sequence[str], now: float
    ) -> Decision:
        if not any("websocket" in value.lower() for value in headers.all("upgrade")):
            message = f"{PATH} speaks WebSocket: connect with ws:// or wss://."
            return _error(HTTPStatus.UPGRADE_REQUIRED, "upgrade_required", message, {"Upgrade": "websocket"})
        secret = next((found for key in keys if (found := self._secrets.redeem(key, now))), None)
        if not self._is_token(keys) and secret is None:
            error = _refusal(keys)
            return Unauthorized(error, ".".join(str(part) for part in (error["type"], error["code"]) if part))
        transcribes = parameters.get("intent") == ["transcription"]
        if secret is not None and (secret.session["type"] == "transcription" or not transcribes):
            return Admission(secret.session)
        if transcribes:
            return Admission({"type": "transcription"})
        # Without intent, the session is a conversation, as at OpenAI; session.update can change the type.
        named = next((parameters[name][-1] for name in _MODEL_PARAMETERS if name in parameters), None)
        return Admission({"type": "realtime", **({} if named is None else {"model": named})})

    def _mint(self, body: bytes, now: float) -> Answer:
        try:
            return _ok(self._secrets.mint(body, now))
        except Rejected as rejected:
            return _error(HTTPStatus.BAD_REQUEST, rejected.code, rejected.message, param=rejected.param)

    def _list(self, resource: str) -> Answer:
        if resource == "/models":
            return _ok({"object": "list", "data": list(self._models.values())})
        name = resource.removeprefix("/models/")
        if name in self._models:
            return _ok(self._models[name])
        message = f"There is no such model in the list; any name is accepted at {PATH}."
        return _error(HTTPStatus.NOT_FOUND, "model_not_found", message, param="model")

    def _is_token(self, keys: Sequence[str]) -> bool:
        """True if one of the keys is the token, or if no token is required."""
        return self._digest is None or any(hmac.compare_digest(_digest(key), self._digest) for key in keys)

    def _is_allowed_origin(self, origin: str, headers: _Headers) -> bool:
        """Allow pages from loopback, and with a token also pages from the same host and port.

        Without a token, the same host proves nothing (DNS rebinding): an attacker's host name that resolves to this
        machine is the host of both the page and the request.
        """
        try:
            page = urlsplit(origin)
            if is_loopback(page.hostname or ""):
                return True
        except ValueError:
            return False
        return self._digest is not None and bool(page.netloc) and headers.all("host") == [page.netloc]


class _Headers:
    """Headers by lower-case name."""

    def __init__(self, headers: Sequence[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in headers:
            self._values.setdefault(name.lower(), []).append(value)

    def all(self, name: str) -> Sequence[str]:
        return self._values.get(name, [])

    def list_items(self, name: str) -> list[str]:
        return [item.strip() for value in self.all(name) for item in value.split(",")]


def listening_address(host: str, token: str | None) -> str:
    """The address to listen on.

    Args:
        host: Host from the user.
        token: Required key of clients; None: no key.

    Raises:
        UsageError: The host is not loopback, and there is no token.
    """
    # A name of this machine is not looked up: its answer could be another address.
    address = "127.0.0.1" if host == "localhost" or host.endswith(".localhost") else host
    if not address or not (token or is_loopback(address)):
        raise UsageError(
            f"{host or 'an empty host'} is no loopback address, and others must not get in without a token",
            "set RT_SERVE_TOKEN or give --token-file, or serve this machine only with 127.0.0.1, ::1 or localhost",
            code="not_loopback",
        )
    return address


def bad_request(bad: BadRequest) -> Answer:
    """The answer to a malformed request."""
    return _error(bad.status, "bad_request", bad.message)


def choose_subprotocol(subprotocols: Sequence[str]) -> str | None:
    """Select ``realtime``. Browsers send the key as another subprotocol, which the answer must not repeat."""
    return SUBPROTOCOL if SUBPROTOCOL in subprotocols else None


def _resource(path: str) -> str | None:
    """The path without the prefix of OpenAI or Azure; None: unknown path."""
    for prefix in _PREFIXES:
        rest = path.removeprefix(prefix)
        if path.startswith(prefix) and (rest in _METHODS or _MODEL_PATH.fullmatch(rest)):
            return rest
    return None


def _admits(decision: Decision) -> bool:
    return isinstance(decision, Admission)


def _translation(parameters: Mapping[str, Sequence[str]]) -> Admission:
    return Admission({"type": "translation", "model": parameters.get("model", [None])[-1]})


def _keys(headers: _Headers, parameters: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield all keys of a request: from headers, query and subprotocols."""
    for value in headers.all("authorization"):
        scheme, _, key = value.partition(" ")
        if scheme.lower() == "bearer":
            yield key.strip()
    for name in _KEY_HEADERS:
        yield from headers.all(name)
    for name in _KEY_PARAMETERS:
        yield from parameters.get(name, ())
    for name in headers.list_items("sec-websocket-protocol"):
        if name.startswith(_KEY_SUBPROTOCOL):
            yield name.removeprefix(_KEY_SUBPROTOCOL)


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def _refusal(keys: Sequence[str]) -> dict[str, Any]:
    """The error for a wrong or missing key. Unlike OpenAI's error, it does not contain the key."""
    code = "invalid_api_key" if keys else None
    message = "Incorrect API key provided." if keys else "No key was presented: send the server's token as key."
    return {"type": "invalid_request_error", "code": code, "message": message, "param": None}


def _unauthorized(keys: Sequence[str]) -> Answer:
    return Answer(HTTPStatus.UNAUTHORIZED, {"error": _refusal(keys)}, {"WWW-Authenticate": "Bearer"})


def _wrong_method(allowed: Sequence[str]) -> Answer:
    headers = {"Allow": ", ".join(allowed)}
    return _error(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", f"Use {allowed[0]}.", headers)


def _ok(body: Mapping[str, Any]) -> Answer:
    return Answer(HTTPStatus.OK, body)


def _error(
    status: HTTPStatus, code: str, message: str, headers: Mapping[str, str] | None = None, *, param: str | None = None
) -> Answer:
    error = {"type": "invalid_request_error", "code": code, "message": message, "param": param}
    return Answer(status, {"error": error}, headers or {})


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "rt"}
