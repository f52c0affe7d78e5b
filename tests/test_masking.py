"""Secrets are masked in every spelling; ordinary words stay."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.masking import Secrets, masked, plain_escapes, protect, without_secrets

KEY = "canary/5e9f1c+ü 7ab2d84"


@pytest.mark.parametrize(
    "spelling",
    [KEY, quote(KEY), quote(KEY, safe=""), json.dumps(KEY)[1:-1], json.dumps(KEY, ensure_ascii=False)[1:-1]],
)
def test_spellings(spelling: str) -> None:
    """As it is, in a URL, in JSON; as often as it comes."""
    assert Secrets([KEY]).mask(f"got {spelling}, {spelling}!") == "got ***, ***!"


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8), st.text(), st.text())
def test_no_secret_is_left(secret: str, before: str, after: str) -> None:
    """In any surroundings."""
    text = Secrets([secret]).mask(f"{before}{secret}{after}")
    assert secret not in text.replace("***", "") or "*" in secret
    assert Secrets([secret]).mask(text) == text or "*" in secret


@pytest.mark.parametrize("length", range(8, len(KEY)))
def test_start_of_a_secret_at_the_end(length: int) -> None:
    """A close reason is cut at 123 bytes, wherever the key is."""
    assert Secrets([KEY]).mask(f"no {KEY[:length]}") == "no ***"
    assert Secrets([KEY]).mask(f"no {KEY[:length]} and more") == f"no {KEY[:length]} and more"


@pytest.mark.parametrize(
    ("values", "text", "spoken", "said"),
    [
        pytest.param(["Margaret"], "Margaret is here", "Margaret is here", "*** is here", id="a name"),
        pytest.param(["us-east-1"], "in us-east-1", "in us-east-1", "in ***", id="a region"),
        pytest.param(["2025-01-01"], "on 2025-01-01", "on 2025-01-01", "on ***", id="a date"),
        pytest.param(["blue sky"], "a blue sky", "a blue sky", "a ***", id="words"),
        pytest.param(["tenant-91bd3f"], "of tenant-91bd3f", "of ***", "of ***", id="an id"),
    ],
)
def test_header_values(values: list[str], text: str, spoken: str, said: str) -> None:
    """What may be an ordinary word stays in what was spoken, and not in what the endpoint complains of."""
    secrets = Secrets((), values)
    assert (secrets.mask(text), secrets.mask_all(text)) == (spoken, said)


def test_short_keys() -> None:
    """Whole words only, and only in what the endpoint complains of."""
    secrets = Secrets(["abc", "pa55w"])
    assert secrets.mask("abc alphabcd") == "abc alphabcd"
    assert secrets.mask_all("abc alphabcd pa55w") == "*** alphabcd ***"
    assert secrets.mask("xpa55wx") == "x***x"
    assert Secrets(["", " "]).mask_all("a  b") == "a  b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no option --api-key: no key is given as an option", "no option --api-key: no key is given as an option"),
        ("no key api_key: did you mean api_key_cmd?", "no key api_key: did you mean api_key_cmd?"),
        ("export RT_API_KEY=..., or rt login", "export RT_API_KEY=..., or rt login"),
        ("api_key: a1b2 is wrong", "api_key: *** is wrong"),
        ("token: abcd", "token: ***"),
        ("password=abc is wrong", "password=*** is wrong"),
        ("secret: hunter is wrong", "secret: *** is wrong"),
        ('{"token": "abcd "}', '{"token": "*** "}'),
    ],
)
def test_what_looks_like_a_key(text: str, shown: str) -> None:
    """A sentence about a key is none: its next word is short, and without a digit."""
    assert masked(text) == shown


def test_secrets_of_the_run() -> None:
    """From the moment at which they are known, for all functions."""
    secret = "only-of-this-test-4711"
    assert secret in masked(without_secrets(secret))
    protect([secret])
    assert masked(without_secrets(f"a {secret}")) == "a ***"
    assert masked("a key=4711 of sk-abcdefgh") == "a key=4711 of sk-***"


TEXTS = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]))


@given(st.recursive(TEXTS | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_plain_escapes_change_no_json(value: object) -> None:
    """Whatever is escaped without need, the meaning stays."""
    line = json.dumps(value, ensure_ascii=False).replace("/", "\\/").replace("a", "\\u0061")
    assert json.loads(line) == value
    assert json.loads(plain_escapes(line)) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"a\/b", "a/b"),
        (r"\u0073k-\u0061", "sk-a"),
        (r"a\\/b", r"a\\/b"),
        (r"\\u0073 \/", r"\\u0073 /"),
        (r"\u0022 \u005c \u000a \u007f \u00e4 \/", r"\u0022 \u005c \u000a \u007f \u00e4 /"),
        (r"\n\"\/", r"\n\"/"),
    ],
)
def test_plain_escapes(text: str, expected: str) -> None:
    """Only what needs no escape loses it."""
    assert plain_escapes(text) == expected
