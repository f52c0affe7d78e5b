"""Fatal, or worth a retry: one row for each refusal of an endpoint."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.errors import ConnectionLost, EndpointError, RefusedError, RtError, UnreachableError
from rt_cli.protocol.error_policy import classify_close, classify_error, http_refusal, refuses_audio
from rt_cli.protocol.server_events import ErrorInfo

REFUSED = (RefusedError, 4, False)
RETRY = (UnreachableError, 5, True)
LOST = (ConnectionLost, 5, True)
UNUSABLE = (EndpointError, 6, False)
Expected = tuple[type[RtError], int, bool]


def classification(error: RtError) -> Expected:
    """Return class, exit code, and whether a retry is allowed."""
    return type(error), error.exit_code, isinstance(error, UnreachableError) and not error.final


HTTP: dict[int, Expected] = {
    **dict.fromkeys([200, 301, 302, 303, 307, 308], UNUSABLE),
    **dict.fromkeys([400, 404, 405, 406, 410, 413, 415, 422, 426, 431, 501], UNUSABLE),
    **dict.fromkeys([401, 402, 403, 407], REFUSED),
    **dict.fromkeys([408, 409, 425, 429, 500, 502, 503, 504, 520, 524, 529], RETRY),
}


@pytest.mark.parametrize(("status", "expected"), HTTP.items(), ids=str)
def test_http_statuses(status: int, expected: Expected) -> None:
    """A status of the handshake is refused, unusable or worth a retry."""
    error = http_refusal(status)

    assert classification(error) == expected
    assert str(status) in str(error)


def test_a_rate_limit_has_its_delay() -> None:
    """429 with Retry-After is retried after that time."""
    error = http_refusal(429, "slow down", 7.5)

    assert isinstance(error, UnreachableError)
    assert error.retry_after_s == 7.5


@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached"])
def test_a_used_up_quota_is_final(code: str) -> None:
    """429 is final if the body has a code for a used-up quota."""
    assert classification(http_refusal(429, '{"error": {"code": "' + code + '"}}', 7.5)) == REFUSED


CLOSES: dict[int, Expected] = {
    **dict.fromkeys([1000, 1001, 1004, 1005, 1006, 1011, 1012, 1013, 1014, 1015], LOST),
    **dict.fromkeys([1002, 1003, 1007, 1009, 1010], UNUSABLE),
    **dict.fromkeys([1008, 3000, 3003, 4401, 4403], REFUSED),
    **dict.fromkeys([3007, 3008, 4429], LOST),
    **dict.fromkeys([3005, 3006, 3009, 4000, 4004, 4005], UNUSABLE),
}


@pytest.mark.parametrize(("code", "expected"), CLOSES.items(), ids=str)
def test_close_codes(code: int, expected: Expected) -> None:
    """A close that ``rt`` did not start is refused, unusable or worth a retry."""
    error = classify_close(code)

    assert classification(error) == expected
    assert str(code) in str(error)


def test_a_policy_close_for_capacity_allows_a_retry() -> None:
    """1008 is final unless the reason or the last error mentions capacity."""
    full = ErrorInfo(type="session_limit_reached", message="all sessions are in use")

    assert classification(classify_close(1008, "at capacity")) == LOST
    assert classification(classify_close(1008, "", full)) == LOST
    assert classification(classify_close(1008, "invalid token")) == REFUSED


@pytest.mark.parametrize("code", [1013, 4429])
def test_an_overloaded_endpoint_gets_a_longer_delay(code: int) -> None:
    """The next attempt waits longer."""
    error = classify_close(code)

    assert isinstance(error, UnreachableError)
    assert error.retry_after_s == 5


ERRORS: dict[str, tuple[Expected | None, Expected]] = {
    # code: what it means once the session runs (None: it lives on), and while it is configured
    **dict.fromkeys(["invalid_api_key", "authentication_error", "token_expired", "forbidden"], (REFUSED, REFUSED)),
    **dict.fromkeys(["insufficient_quota", "billing_not_active"], (REFUSED, REFUSED)),
    **dict.fromkeys(["invalid_model", "missing_model", "model_not_found", "model_load_error"], (UNUSABLE, UNUSABLE)),
    **dict.fromkeys(["model_not_validated", "beta_api_shape_disabled", "DeploymentNotFound"], (UNUSABLE, UNUSABLE)),
    "invalid_session_type": (UNUSABLE, UNUSABLE),
    "session_expired": (LOST, LOST),
    **dict.fromkeys(["rate_limit_exceeded", "session_limit_reached", "server_error", "unavailable"], (None, RETRY)),
    **dict.fromkeys(["invalid_value", "unknown_parameter", "integer_below_min_value"], (None, UNUSABLE)),
    **dict.fromkeys(["input_audio_buffer_commit_empty", "invalid_json", "invalid_event"], (None, UNUSABLE)),
    **dict.fromkeys(["not_implemented", "response_cancel_not_active", "unknown_event", ""], (None, UNUSABLE)),
}


@pytest.mark.parametrize("field", ["code", "type"])
@pytest.mark.parametrize(
    ("name", "expected"), ERRORS.items(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_error_events(name: str, expected: tuple[Expected | None, Expected], field: str) -> None:
    """Few errors end a running session; during configuration any error ends it, and only overload allows a retry."""
    error = ErrorInfo(**{field: name}, message="said")
    running, configuring = classify_error(error, configuring=False), classify_error(error, configuring=True)

    assert (None if running is None else classification(running)) == expected[0]
    assert configuring is not None
    assert classification(configuring) == expected[1]


def test_the_error_before_a_close_decides() -> None:
    """An expired session closes with the code of a restart; a bad key may close with any code."""
    assert classification(classify_close(1006, "", ErrorInfo(code="invalid_api_key"))) == REFUSED
    assert classify_close(1001, "", ErrorInfo(code="session_expired")).code == "session_expired"
    assert "no more room" in str(classify_close(1011, "", ErrorInfo(message="no more room")))


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided. You can obtain an API key from https://console.example.",
        '{"code":"invalid","error":"Invalid API-key provided."}',
        "your api_key is not valid",
        "No api key",
    ],
)
def test_a_key_that_is_not_taken_is_told_by_words(text: str) -> None:
    """With HTTP 400, as xAI does, or a close whose code says something else; an error of a session says more."""
    assert classification(http_refusal(400, text)) == REFUSED
    assert http_refusal(400, text).hint == "check the key"
    assert classification(classify_close(1007, text)) == REFUSED
    assert classification(classify_close(1011, "", ErrorInfo(message=text))) == REFUSED
    assert classification(http_refusal(400, "the key of the map is invalid; see the API")) == UNUSABLE


def test_the_rejected_field_is_named() -> None:
    """The error names the field that the endpoint rejects."""
    error = classify_error(ErrorInfo(code="invalid_value", message="no", param="session.audio"), configuring=True)

    assert "session.audio" in str(error)


@settings(deadline=None)
@given(text=st.text(max_size=400), code=st.integers(1000, 4999), status=st.integers(100, 599))
def test_messages_of_the_endpoint_are_sanitized(text: str, code: int, status: int) -> None:
    """For any text, the message is one short line without control characters."""
    info = ErrorInfo(code=text, message=text, type=text, param=text)
    errors = [http_refusal(status, text), classify_close(code, text, info), classify_error(info, configuring=True)]

    for error in errors:
        assert error is not None
        assert len(str(error)) < 800
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in str(error) + error.code)


def test_keys_are_not_repeated() -> None:
    """Some endpoints quote the key that they refuse."""
    key = "sk-proj-abcdef1234567890"
    errors = [
        http_refusal(401, f"Incorrect API key provided: {key}"),
        classify_close(3000, f"bad key {key}"),
        classify_error(ErrorInfo(code="invalid_api_key", message=f"bad {key}"), configuring=False),
    ]

    assert all(key not in str(error) for error in errors)


@pytest.mark.parametrize("code", [1000, 1008, 1011, 3001, 4001])
@pytest.mark.parametrize(
    "error",
    [
        ErrorInfo(message="The model `whisper-9` does not exist or you do not have access to it."),
        ErrorInfo(type="NotFoundError", message="Model whisper-9 not found"),
        ErrorInfo(type="invalid_request_error", message="Unknown model: whisper-9"),
        ErrorInfo(type="invalid_request_error", message="not one of ours", param="session.audio.transcription.model"),
        ErrorInfo(message="Model 'whisper-9' is not supported for realtime."),
        ErrorInfo(type="server_error", message="Failed to load the whisper model"),
        ErrorInfo(code="404", message="whisper-9"),
    ],
    ids=lambda error: error.message[:30] if isinstance(error, ErrorInfo) else str(error),
)
def test_an_error_about_the_model_before_a_close_is_final(code: int, error: ErrorInfo) -> None:
    """No other connection makes the model exist; the hint is about the model, not about the network."""
    cause = classify_close(code, "", error)

    assert classification(cause) == UNUSABLE
    assert cause.hint == "check the model"
    assert error.message.rstrip(".") in cause.message


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        pytest.param(1011, "", ErrorInfo(message="The model is overloaded, try again"), id="overloaded"),
        pytest.param(1011, "", ErrorInfo(message="Model whisper is still loading"), id="loading"),
        pytest.param(1011, "", ErrorInfo(message="the model crashed"), id="crashed"),
        pytest.param(1011, "keepalive ping timeout", None, id="keepalive"),
        pytest.param(
            1006, "", ErrorInfo(message="noise reduction is not supported by this model"), id="cut, long after"
        ),
        pytest.param(1006, "", ErrorInfo(message="Model x not found"), id="cut"),
        pytest.param(1001, "", ErrorInfo(message="Model x not found"), id="restart"),
        pytest.param(1011, "", ErrorInfo(code="500", message="boom"), id="500"),
    ],
)
def test_what_may_pass_is_tried_again(code: int, reason: str, error: ErrorInfo | None) -> None:
    """A state of the endpoint, or an error that need not be the cause of the close."""
    assert classification(classify_close(code, reason, error)) == LOST


def test_a_close_for_a_model_is_final_by_its_reason() -> None:
    """Also without an error event."""
    assert classification(classify_close(1011, "model not found: x")) == UNUSABLE
    assert classification(classify_close(1011, "", ErrorInfo(code="401", message="who are you"))) == REFUSED


@pytest.mark.parametrize(
    ("reason", "message"),
    [("", "Buffered audio exceeds 60 s without a commit"), ("input audio buffer too large", ""), ("uncommitted", "")],
)
def test_too_much_audio_in_a_turn(reason: str, message: str) -> None:
    """1009 about the audio buffer asks for shorter turns; about a message, for smaller messages."""
    error = classify_close(1009, reason, ErrorInfo(message=message) if message else None)

    assert (classification(error), error.code) == (UNUSABLE, "turn_too_long")
    assert "--max-turn" in str(error)
    assert "--chunk-ms" in str(classify_close(1009, "message too big"))


def test_403_may_want_a_model_in_the_url() -> None:
    """Some servers answer a missing query parameter with 403."""
    assert "?model=" in str(http_refusal(403, wants_model=True))
    assert "?model=" not in str(http_refusal(403))
    assert "?model=" not in str(http_refusal(401, wants_model=True))


TEXTS = st.text(max_size=60) | st.sampled_from(["model not found", "401", "buffer", "sk-", "\x00", "\ud800"])


@given(TEXTS, TEXTS, TEXTS, st.none() | TEXTS, st.integers(-1, 70_000), st.integers(-1, 1000))
def test_any_words_give_an_error_of_ours(
    code: str, kind: str, message: str, param: str | None, close: int, status: int
) -> None:
    """Whatever an endpoint writes in any field, only our errors come out."""
    info = ErrorInfo(code=code, type=kind, message=message, param=param)
    assert isinstance(classify_close(close, message, info), RtError)
    assert isinstance(http_refusal(status, message, wants_model=True), RtError)
    assert isinstance(classify_error(info, configuring=True), RtError)
    assert refuses_audio(info) in {True, False}


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (ErrorInfo(message="invalid audio"), True),
        (ErrorInfo(code="The buffer is full", type="error"), True),
        (ErrorInfo(message="try again later"), False),
        (ErrorInfo(message="transcription of the audio failed"), False),
        (ErrorInfo(type="invalid_request_error", message="no"), True),
        (ErrorInfo(code="rate_limit_exceeded", message="too much audio"), False),
    ],
)
def test_refused_audio(error: ErrorInfo, *, refused: bool) -> None:
    """By code, else by type, else by a message that names audio."""
    assert refuses_audio(error) is refused
