"""The models that an endpoint lists: ``GET /v1/models`` beside its realtime path."""

from __future__ import annotations

import json
import os
import re
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from rt_cli.errors import EndpointError, RefusedError, RtError, UnreachableError
from rt_cli.protocol.sanitize import masked, printable
from rt_cli.run.open_endpoint import open_endpoint
from rt_cli.run.plan import make_plan

if TYPE_CHECKING:
    import httpx

    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.settings import Settings

_MOST_BYTES = 4 * 1024 * 1024
_SCHEMES = {"ws": "http", "wss": "https"}
_REFUSED = {401, 403}
_NUMBER = re.compile(r"^\[[^\]]*\] ")
"""The number of an error, or the library, that stands before its text."""


async def models(settings: Settings) -> list[str]:
    """Return the identifiers of the models, in the order of the endpoint. Cancellation closes the connection.

    Raises:
        UsageError: Settings that contradict each other.
        RefusedError: The endpoint wants another key.
        UnreachableError: It does not answer in time.
        EndpointError: It lists no models.
    """
    import asyncio

    # Which model is not known yet, where an endpoint has no usual one.
    named = replace(settings, endpoint=replace(settings.endpoint, model=settings.endpoint.model or "any"))
    plan = await asyncio.to_thread(make_plan, named, os.environ)
    async with AsyncExitStack() as stack:
        endpoint = await open_endpoint(settings, plan, stack, on_embedded=lambda _warning, _sessions: None)
        url = models_url(endpoint.url)
        body = await asyncio.to_thread(_ask, url, endpoint, settings.delivery.connect_timeout_s)
    return names_in(body, _shown(url))


def models_url(realtime_url: str) -> str:
    """Return the URL of the list beside a realtime URL: the same path but for its end, without a query."""
    parts = urlsplit(realtime_url)
    path, slash, _ = parts.path.rstrip("/").rpartition("/realtime")
    base = path if slash else parts.path.rstrip("/")
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, f"{base}/models", "", ""))


def names_in(body: bytes, name: str) -> list[str]:
    """Return the identifiers in an answer. Raises EndpointError if it is no list of models."""
    try:
        content: Any = json.loads(body)
        entries = content["data"] if isinstance(content, dict) else content
        found = [entry["id"] if isinstance(entry, dict) else entry for entry in entries]
        if found and all(isinstance(each, str) and each for each in found):
            return found
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    raise EndpointError(f"{name} lists no models", "name one with --model")


def _shown(url: str) -> str:
    return printable(masked(url))


def _ask(url: str, endpoint: Endpoint, timeout_s: float) -> bytes:
    """Fetch the list. Blocks, for two deadlines at most."""
    import httpx

    name = _shown(url)
    try:
        headers = {**dict(endpoint.more_headers), **dict(endpoint.headers), "Accept-Encoding": "identity"}
        with (
            _client(endpoint, timeout_s) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            if answer.status_code != 200:  # noqa: PLR2004 - OK
                raise _refusal(answer.status_code, name)
            return _body(answer, name)
    except httpx.ConnectError as error:
        if isinstance(cause := _first_cause(error), ConnectionRefusedError):
            place = urlsplit(url).netloc
            raise UnreachableError(
                f"nothing listens at {printable(masked(place))}", "start it (rt serve), or give another --url"
            ) from cause
        raise _unfetched(name, _NUMBER.sub("", str(error))) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error)
        raise _unfetched(name, reason) from error


def _unfetched(name: str, reason: str) -> UnreachableError:
    return UnreachableError(f"{name} cannot be fetched: {printable(masked(reason))}", "check the URL and the network")


def _first_cause(error: BaseException) -> BaseException:
    """Return the error of the system behind that of a library."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _client(endpoint: Endpoint, timeout_s: float) -> httpx.Client:
    """Return a client with the certificates and the proxy of the endpoint; it follows no redirect: keys stay."""
    import httpx

    if urlsplit(endpoint.url).scheme == "ws":
        return httpx.Client(timeout=timeout_s, proxy=endpoint.proxy, trust_env=not endpoint.loopback)
    from rt_cli.streaming.transport.tls import tls_context

    return httpx.Client(
        timeout=timeout_s, proxy=endpoint.proxy, verify=tls_context(endpoint.trust), trust_env=not endpoint.loopback
    )


def _body(answer: httpx.Response, name: str) -> bytes:
    if answer.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise EndpointError(f"{name} sends a compressed answer, which was not asked for", "check the URL")
    body = bytearray()
    for chunk in answer.iter_raw():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise EndpointError(f"{name} sends more than a list of models", "check the URL")
    return bytes(body)


def _refusal(status: int, name: str) -> RtError:
    if status in _REFUSED:
        return RefusedError(f"{name} answers HTTP {status}", "check the key")
    if status >= 500:  # noqa: PLR2004 - errors of the server
        return UnreachableError(f"{name} answers HTTP {status}", "try again later")
    return EndpointError(f"{name} answers HTTP {status}: the endpoint lists no models", "name one with --model")
