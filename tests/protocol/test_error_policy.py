"""Fatal or worth another try: one row for each way in which an endpoint says no."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.errors import ConnectionLost, EndpointError, RefusedError, RtError, UnreachableError
from rt_cli.protocol.error_policy import classify_close, classify_error, http_refusal
from rt_cli.protocol.server_events import ErrorInfo

REFUSED = (RefusedError, 4, False)
RETRY = (UnreachableError, 5, True)
LOST = (ConnectionLost, 5, True)
UNUSABLE = (EndpointError, 6, False)
Expected = tuple[type[RtError], int, bool]


def verdict(error: RtError) -> Expected:
    """Class, exit code, and whether another connection is worth a try."""
    return type(error), error.exit_code, isinstance(error, UnreachableError) and not error.final


HTTP: dict[int, Expected] = {
    **dict.fromkeys([200, 301, 302, 303, 307, 308], UNUSABLE),
    **dict.fromkeys([400, 404, 405, 406, 410, 413, 415, 422, 426, 431, 501], UNUSABLE),
    **dict.fromkeys([401, 402, 403, 407], REFUSED),
    **dict.fromkeys([408, 409, 425, 429, 500, 502, 503, 504, 520, 524, 529], RETRY),
}


@pytest.mark.parametrize(("status", "expected"), HTTP.items(), ids=str)
def test_http_statuses(status: int, expected: Expected) -> None:
    """A status at the handshake is refused, unusable or worth another try."""
    error = http_refusal(status)

    assert verdict(error) == expected
    assert str(status) in str(error)


def test_a_rate_limit_says_how_long_to_wait() -> None:
    """429 with Retry-After is waited out."""
    error = http_refusal(429, "slow down", 7.5)

    assert isinstance(error, UnreachableError)
    assert error.retry_after_s == 7.5


@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached"])
def test_a_used_up_quota_is_final(code: str) -> None:
    """429 is final where the body says that the quota is used up."""
    assert verdict(http_refusal(429, '{"error": {"code": "' + code + '"}}', 7.5)) == REFUSED


CLOSES: dict[int, Expected] = {
    **dict.fromkeys([1000, 1001, 1004, 1005, 1006, 1011, 1012, 1013, 1014, 1015], LOST),
    **dict.fromkeys([1002, 1003, 1007, 1009, 1010], UNUSABLE),
    **dict.fromkeys([1008, 3000, 3003, 4401, 4403], REFUSED),
    **dict.fromkeys([3007, 3008, 4429], LOST),
    **dict.fromkeys([3005, 3006, 3009, 4000, 4004, 4005], UNUSABLE),
}


@pytest.mark.parametrize(("code", "expected"), CLOSES.items(), ids=str)
def test_close_codes(code: int, expected: Expected) -> None:
    """A close that we did not ask for is refused, unusable or worth another try."""
    error = classify_close(code)

    assert verdict(error) == expected
    assert str(code) in str(error)


def test_a_policy_close_for_want_of_room_is_worth_another_try() -> None:
    """1008 is final unless reason or error speak of capacity, wherever they say so."""
    full = ErrorInfo(type="session_limit_reached", message="all sessions are in use")

    assert verdict(classify_close(1008, "at capacity")) == LOST
    assert verdict(classify_close(1008, "", full)) == LOST
    assert verdict(classify_close(1008, "invalid token")) == REFUSED


@pytest.mark.parametrize("code", [1013, 4429])
def test_an_overloaded_endpoint_is_given_time(code: int) -> None:
    """Where the endpoint has too much to do the next try waits longer."""
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
    """Only a few errors end a running session; an error in answer to the configuration ends it unless it is load."""
    error = ErrorInfo(**{field: name}, message="said")
    running, configuring = classify_error(error, configuring=False), classify_error(error, configuring=True)

    assert (None if running is None else verdict(running)) == expected[0]
    assert configuring is not None
    assert verdict(configuring) == expected[1]


def test_the_error_before_a_close_says_more_than_its_code() -> None:
    """A session that expired closes with the code of a restart; a bad key may close with any."""
    assert verdict(classify_close(1006, "", ErrorInfo(code="invalid_api_key"))) == REFUSED
    assert classify_close(1001, "", ErrorInfo(code="session_expired")).code == "session_expired"
    assert "no more room" in str(classify_close(1011, "", ErrorInfo(message="no more room")))


def test_the_rejected_field_is_named() -> None:
    """A configuration that is rejected says which of its fields."""
    error = classify_error(ErrorInfo(code="invalid_value", message="no", param="session.audio"), configuring=True)

    assert "session.audio" in str(error)


@settings(deadline=None)
@given(text=st.text(max_size=400), code=st.integers(1000, 4999), status=st.integers(100, 599))
def test_words_of_the_endpoint_are_harmless(text: str, code: int, status: int) -> None:
    """Whatever an endpoint says, what is shown of it is one short line without controls."""
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
