"""Untrusted text made safe for terminals and logs."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rt_cli.protocol.sanitize import masked, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words, größer, 日本語", "plain words, größer, 日本語"),
        ("two\nlines\r\nand\ttab", "two lines and tab"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jwiped", "wiped"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;aGk=\x1b\\after", "after"),
        ("\x1bPdcs\x1b\\after", "after"),
        ("\x1bcreset", "reset"),
        ("open\x1b]0;never ends", "open0;never ends"),
        ("bell\x07 del\x7f nul\x00", "bell del nul"),
        ("evil\u202etxt.exe\u2066", "eviltxt.exe"),
        ("\u200f\u05e9\u05dc\u05d5\u05dd\u200e", "\u200f\u05e9\u05dc\u05d5\u05dd\u200e"),
        ("\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f469\u200d\U0001f469\u200d\U0001f467"),
        ("half \ud83d", "half \ufffd"),
    ],
    ids=[
        "ordinary",
        "lines",
        "colour",
        "c1 csi",
        "title",
        "clipboard",
        "dcs",
        "reset",
        "unterminated",
        "controls",
        "bidi override",
        "bidi marks",
        "joined emoji",
        "surrogate",
    ],
)
def test_terminal_sequences_are_removed(text: str, expected: str) -> None:
    """Sequences for cursor, title and text direction are removed; the text stays."""
    assert expected == printable(text)


@given(st.text(st.characters()))
@example("\x1b\x1b[31m[31m")
@example("\x1b[\x1b[31m31m")
def test_no_control_character_survives(text: str) -> None:
    """No character of category Cc or Cs stays, even with nested sequences; a second pass changes nothing."""
    safe = printable(text)

    assert not [character for character in safe if unicodedata.category(character) in {"Cc", "Cs"}]
    assert safe == printable(safe)


@given(st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), max_size=50))
def test_ordinary_text_is_unchanged(text: str) -> None:
    """Printable text stays as it is."""
    assert text == printable(text)


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cr3t",
        "authorization: basic s3cr3t",
        "Incorrect API key provided: sk-s3cr3t",
        "api-key: s3cr3t",
        "wss://host/v1?access_token=s3cr3t",
        "wss://host/v1?a=b&key=s3cr3t",
        "http://somebody:s3cr3t@proxy.example:3128 isn't a valid proxy",
        '{"client_secret":"s3cr3t"}',
        "password=s3cr3t",
    ],
)
def test_a_secret_is_masked(text: str) -> None:
    """In headers, queries, JSON and error messages."""
    assert "s3cr3t" not in masked(text)
    assert "***" in masked(text)


@pytest.mark.parametrize("unit", ["\x1b]", "\x9d", "\x1b[0", "a-", "token ", "sk-"], ids=repr)
def test_malicious_text_takes_linear_time(unit: str) -> None:
    """A megabyte that targets the patterns is cleaned quickly."""
    hostile = unit * (1_000_000 // len(unit))
    start = time.process_time()

    masked(printable(hostile))
    masked(hostile)

    assert time.process_time() - start < 5


@given(st.text())
def test_masking_twice_is_masking_once(text: str) -> None:
    """Masking a masked text changes nothing."""
    assert masked(text) == masked(masked(text))
