"""Classify HTTP statuses, close codes and error events: fatal, or worth a retry. Pure.

An :class:`UnreachableError` that is not ``final`` allows a retry; every other error ends the run. Sources: the close
codes of RFC 6455 section 7.4 and the IANA registry, messages observed from OpenAI and Azure, and the retry lists of
the official clients.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rt_cli.errors import ConnectionLost, EndpointError, RefusedError, RtError, UnreachableError
from rt_cli.protocol.sanitize import masked_foreign, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.protocol.server_events import ErrorInfo

_KEY_CODES = frozenset(
    {"invalid_api_key", "invalid_authentication", "authentication_error", "token_expired", "forbidden"}
)
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
MODEL_CODES = frozenset(
    {
        "invalid_model",
        "missing_model",
        "model_not_found",
        "model_not_validated",
        "model_load_error",
        "DeploymentNotFound",
    }
)
"""Codes of a model that the endpoint cannot use."""
TURNS_OFF = "turn_detection_off"
"""Our code of a session whose turn detection is off, although it was asked for."""
_SHAPE_CODES = MODEL_CODES | {"beta_api_shape_disabled", "invalid_session_type"}
FULL_CODES = frozenset(
    {
        *("rate_limited", "rate_limit_exceeded", "session_limit_reached", "too_many_sessions", "overloaded"),
        "no_room",
    }
)
"""Codes of a full endpoint: its own, and ours."""
_CAPACITY_CODES = FULL_CODES | {"server_error", "unavailable"}
_CAPACITY_WORDS = ("capacity", "limit", "busy", "overload", "too many", "try again")
_OVERLOAD_RETRY_S = 5.0
_HARMLESS_CODES = frozenset(
    {
        "input_audio_buffer_commit_empty",
        "conversation_already_has_active_response",
        "response_cancel_not_active",
        "unsupported_content_type",
    }
)
_ELSEWHERE_WORDS = ("rate_limit", "server_error", "transcription", "response", "conversation")
"""An error with one of these is not about an append."""
_SUBJECTS = frozenset({"audio", "buffer"})
_REFUSAL_WORDS = (
    "invalid",
    "unknown",
    "unsupported",
    "not_supported",
    "too_large",
    "full",
    "audio",
    "buffer",
    "not_impl",
)
_TOO_BIG, _INTERNAL = 1009, 1011
_SILENT_CLOSES = frozenset({1001, 1005, 1006, 1009, 1012, 1013})
"""Closes with a meaning of their own, or none: an error long before them is not their cause."""
_CODE = re.compile(r"[a-z0-9_.-]{1,80}")
_AUDIO = "audio"
_EMPTY_BUFFER = re.compile(
    r"\b(?:commit\w*|buffer)\b.{0,80}?\b(?:empty|too (?:small|short)|no audio|not enough|has no)\b"
    r"|\b(?:no|empty|not enough|too little) audio\b.{0,80}?\b(?:commit\w*|buffer)\b"
    r"|\bempty (?:audio )?buffer\b"
)
_TOO_FAST = 3007
"""Close code of AssemblyAI; other providers only say so in the reason."""
_TOO_FAST_WORDS = ("faster than real", "too fast", "transmission rate")


_MODEL_HINT = ", or it wants ?model=NAME in the URL"
_NO_MODEL = re.compile(
    r"\bmodel\b[^.;]{0,120}?\b(?:not (?:be )?(?:found|exist|available|supported|valid|allowed|loaded|installed)"
    r"|unknown|unsupported|unavailable|invalid|missing|required)\b"
    r"|\b(?:unknown|unsupported|invalid|missing|no such|no|not find|cannot find|unable to load|load|find|deprecated)"
    r"(?: [\w-]+){0,2} model\b"
)
"""What endpoints say of a model that they cannot use, in lower case."""
_PASSING_WORDS = (*_CAPACITY_WORDS, "temporar", "loading", "starting", "warming", "timed out", "timeout", "retry")
"""What endpoints say of a state that passes."""
_BUFFER_WORDS = ("buffer", "commit", "too much audio", "audio too long", "audio is too long")


def http_refusal(
    status: int, body: str = "", retry_after_s: float | None = None, *, wants_model: bool = False
) -> RtError:
    """Classify an HTTP status of the handshake.

    Args:
        status: HTTP status code.
        body: Start of the response body, untrusted.
        retry_after_s: The Retry-After header in seconds, if there was one.
        wants_model: The URL has no ``model``, which some compatible servers demand and answer with 403.
    """
    message = "" if body.lstrip()[:1] == "<" else quoted(body)  # a page of HTML says nothing to a reader of one line
    description = f"HTTP {status}" + (f" ({message})" if message else "")
    if status == 429 and not any(code in body for code in _QUOTA_CODES):  # noqa: PLR2004 - HTTP statuses have no better name
        return UnreachableError(
            f"the endpoint is rate limiting: {description}",
            "try again later",
            retry_after_s=retry_after_s,
            code="rate_limited",
        )
    if status in {408, 409, 425} or (status >= 500 and status != 501):  # noqa: PLR2004 - same
        return UnreachableError(
            f"the endpoint is not available: {description}",
            "try again later",
            retry_after_s=retry_after_s,
            code=f"http_{status}",
        )
    if status in {401, 402, 403, 407, 429}:
        hint = {
            401: "check the key",
            402: "the quota is used up; check the plan and billing",
            403: "the key, the region or the Origin is not allowed" + (_MODEL_HINT if wants_model else ""),
            407: "check the proxy's user and password",
            429: "the quota is used up; check the plan and billing",
        }[status]
        return RefusedError(f"the endpoint refused us: {description}", hint, code=f"http_{status}")
    hint = "is the path of the URL right? is the model?"
    return EndpointError(f"no realtime endpoint there: {description}", hint, code=f"http_{status}")


def classify_close(code: int, reason: str = "", last_error: ErrorInfo | None = None) -> RtError:
    """Classify a close that ``rt`` did not start.

    Args:
        code: Close code; 1005 or 1006 if the peer sent none.
        reason: Close reason of the peer, untrusted.
        last_error: The last ``error`` event before the close, which usually says more.
    """
    if last_error is not None and (cause := _by_code(last_error)) is not None:
        return cause
    message = quoted((last_error.message if last_error else "") or reason)
    if code not in _SILENT_CLOSES and (cause := _by_words(reason, last_error)) is not None:
        return cause
    description = f"closed with {code}" + (f" ({message})" if message else "")
    if code == _TOO_FAST or any(words in message.lower() for words in _TOO_FAST_WORDS):
        return ConnectionLost(f"the endpoint refuses sound faster than real time: {description}", code="too_fast")
    if code == _TOO_BIG:
        return _too_big(description, f"{reason} {message}".lower())
    if code in _CLOSES:
        return _CLOSES[code](description)
    if code == 1008:  # noqa: PLR2004 - close codes have no better name
        text = f"{reason} {message} {last_error.code} {last_error.type}" if last_error else reason
        text = text.lower()
        if any(word in text for word in _CAPACITY_WORDS):
            return ConnectionLost(f"the endpoint has no room: {description}", "try again later", code="no_room")
        return RefusedError(f"the endpoint refused us: {description}", "check the key and its permissions")
    if code >= 3000:  # noqa: PLR2004 - same
        return EndpointError(
            f"the endpoint {description}", "see the provider's documentation of that code", code=f"close_{code}"
        )
    hint = "it failed; its own log may say more" if code == _INTERNAL else "check the network and the endpoint"
    return ConnectionLost(f"the endpoint {description}", hint)


def classify_error(error: ErrorInfo, *, configuring: bool) -> RtError | None:
    """Classify an ``error`` event; None if the connection can continue.

    Args:
        error: The ``error`` object of the event.
        configuring: ``session.update`` has no answer yet: then any error is the answer to it.
    """
    known = _by_code(error)
    if known is not None or not configuring:
        return known
    message = quoted(error.message or error.code or error.type)
    if error.code in _CAPACITY_CODES or error.type in _CAPACITY_CODES:
        if is_about_model("", error):
            return _no_model(message)
        code = printable(error.code or error.type)[:100]
        return UnreachableError(f"the endpoint is not available: {message}", "try again later", code=code)
    where = f" (at {quoted(error.param)})" if error.param else ""
    return EndpointError(
        f"the endpoint rejects the configuration: {message}{where}",
        "change the option, or drop it with --set",
        code=printable(error.code)[:100] or "configuration_rejected",
    )


def refuses_audio(error: ErrorInfo) -> bool:
    """Return whether an ``error`` event that names no event of ours refuses audio.

    An endpoint calls the refused request invalid, unknown or too much, by its code, or by its type if there is no code;
    some name the field. Without either, the message has to name audio or the buffer.
    """
    name = (error.code or error.type).lower()
    if not _CODE.fullmatch(name):
        # A sentence is no code: of its words only those count that name audio.
        said = re.findall(r"[a-z]+", f"{name} {error.message}".lower())
        name = " ".join(word for word in said if word in _SUBJECTS or word in _ELSEWHERE_WORDS)
    words = f"{name} {_AUDIO if (error.param or '').rpartition('.')[2] == _AUDIO else ''}"
    if error.code in _HARMLESS_CODES or any(word in words for word in _ELSEWHERE_WORDS):
        return False
    return any(word in words for word in _REFUSAL_WORDS)


def is_empty_buffer(error: ErrorInfo) -> bool:
    """Return whether an ``error`` event says that there was no audio to commit, by its code or its message."""
    return "empty" in error.code.lower() or _EMPTY_BUFFER.search(error.message.lower()) is not None


def _by_code(error: ErrorInfo) -> RtError | None:
    """Classify codes that end a session at any time; some servers send the code as the type."""
    code = error.code or error.type
    message = quoted(error.message or code)
    if code in _KEY_CODES:
        return RefusedError(f"the endpoint refused us: {message}", "check the key", code=code)
    if code in _QUOTA_CODES:
        return RefusedError(f"the quota is used up: {message}", "check the plan and billing", code=code)
    if code in _SHAPE_CODES:
        return EndpointError(f"the endpoint does not take this session: {message}", "check the model", code=code)
    if code == "session_expired":
        return ConnectionLost(f"the session expired: {message}", code=code)
    return None


def quoted(text: str) -> str:
    """Text of the endpoint, at most 300 characters, without control characters and keys (some endpoints echo keys)."""
    return masked_foreign(printable(text))[:300].strip().removesuffix(".")


def _lost(hint: str, after_s: float | None = None) -> Callable[[str], RtError]:
    return lambda description: ConnectionLost(f"the endpoint {description}", hint, retry_after_s=after_s)


def _broken(description: str) -> RtError:
    return EndpointError(f"the endpoint {description}", "it did not understand what was sent")


def _too_big(description: str, text: str) -> RtError:
    if any(word in text for word in _BUFFER_WORDS):
        return EndpointError(
            f"the endpoint {description}",
            "it keeps no longer turns: make them shorter, with --turn-detection client and --max-turn",
            code="turn_too_long",
        )
    return EndpointError(f"the endpoint {description}", "a message was too big for it; make --chunk-ms smaller")


def _by_words(reason: str, error: ErrorInfo | None) -> RtError | None:
    """Classify what the peer says with its close: compatible servers write an HTTP status or a sentence as the code."""
    status = error.code if error and error.code.isdecimal() else ""
    message = quoted((error.message if error else "") or reason)
    if status in {"401", "402", "403"}:
        return http_refusal(int(status), message)
    if status == "404" or is_about_model(reason, error):
        return _no_model(message)
    return None


def _no_model(message: str) -> RtError:
    return EndpointError(
        f"the endpoint does not take this session: {message}", "check the model", code="model_not_found"
    )


def is_about_model(reason: str, error: ErrorInfo | None) -> bool:
    """Return whether the peer says that it cannot use the model, which no other connection changes."""
    text = f"{reason} {error.message} {error.code} {error.type}".lower() if error else reason.lower()
    if any(word in text for word in _PASSING_WORDS):
        return False
    field = (error.param or "").rpartition(".")[2] if error else ""
    return field == "model" or _NO_MODEL.search(text) is not None


def _refused(description: str) -> RtError:
    return RefusedError(f"the endpoint refused us: {description}", "check the key and its permissions")


def _unusable(description: str) -> RtError:
    message = f"the endpoint does not take this session: {description}"
    return EndpointError(message, "check the model and the URL", code="close_4000")


_CLOSES: dict[int, Callable[[str], RtError]] = {
    1000: _lost("it ended the session before all finals were in"),
    1001: _lost("its session ended or it is restarting"),
    1002: _broken,
    1003: _broken,
    1007: _broken,
    1010: _broken,
    1012: _lost("it is restarting"),
    1013: _lost("it is overloaded", _OVERLOAD_RETRY_S),
    3000: _refused,
    3003: _refused,
    3008: _lost("it timed out"),
    4000: _unusable,
    4401: _refused,
    4403: _refused,
    4429: _lost("it is rate limiting", _OVERLOAD_RETRY_S),
}
