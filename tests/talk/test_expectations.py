"""What is expected of a conversation, and its report."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.conversation_events import LatencyMeasured, ReplyEnded
from rt_cli.errors import UnreachableError
from rt_cli.talk.expectations.difference import difference
from rt_cli.talk.expectations.expectations import ExpectationResult, Expectations
from rt_cli.talk.expectations.junit import junit_xml


def reply(text: str) -> ReplyEnded:
    """A reply."""
    return ReplyEnded(1, text, 0, 0, "completed", interrupted=False)


def latency(ms: int | None) -> LatencyMeasured:
    """A latency."""
    return LatencyMeasured(1, 500, 100, ms)


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        ([], "there was no reply"),
        (["", " "], "no reply has a word"),
        (["", "Good bye."], "no reply says it, but: Good bye."),
    ],
)
def test_what_was_said_instead(texts: list[str], problem: str) -> None:
    """Replies without words are not shown as such."""
    results = Expectations(texts=("refund",)).checks([reply(text) for text in texts], [], [])

    assert [result.problem for result in results] == [problem]


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        (Expectations(texts=("refund",)), None),
        (Expectations(texts=("A  REFUND",)), None),
        (Expectations(texts=("voucher",)), "no reply says it, but: You get a refund.; Good bye."),
        (Expectations(no_texts=("voucher",)), None),
        (Expectations(no_texts=("bye",)), "reply 2 says it: Good bye."),
        (Expectations(tools=("pay",)), None),
        (Expectations(tools=("book",)), "it was not run, but: pay"),
        (Expectations(max_latency_ms=900), None),
        (Expectations(max_latency_ms=800), "the reply begins after 900 ms"),
        (Expectations(words="you get a refund"), None),
        (Expectations(words="you get a big refund", max_difference=0.1), "20% of the words differ: You get a refund."),
    ],
)
def test_expectations(expected: Expectations, problem: str | None) -> None:
    """Each holds, or says why not."""
    checks = expected.checks([reply("You get a refund."), reply("Good bye.")], ["pay", "pay"], [latency(900)])

    assert [check.problem for check in checks] == [problem]


def test_nothing_happened() -> None:
    """Whatever is expected is missing."""
    checks = Expectations(("a",), ("b",), ("c",), 1000).checks([], [], [])

    assert [check.problem for check in checks] == [
        "there was no reply",
        None,
        "no tool was run",
        "no latency was measured",
    ]


def test_a_reply_that_cannot_be_heard_is_late() -> None:
    """A latency that is unknown is not one that is kept."""
    (check,) = Expectations(max_latency_ms=1000).checks([reply("a")], [], [latency(None)])

    assert check == ExpectationResult("--max-latency 1s, reply 1", "the reply cannot be heard")


@pytest.mark.parametrize(
    ("wanted", "said", "share"),
    [
        ("The train leaves at noon.", "the train leaves at noon", 0.0),
        ("one two three four", "one two four", 0.25),
        ("one two", "one two three four", 1.0),
        ("it's", "it\u2019s", 0.0),
        ("", "", 0.0),
        ("", "one", 1.0),
    ],
)
def test_difference(wanted: str, said: str, share: float) -> None:
    """In words, as a share of what is wanted."""
    assert difference(wanted, said) == share


WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=8).map(" ".join)


@given(WORDS, WORDS)
def test_the_difference_is_a_distance(first: str, second: str) -> None:
    """Nothing for the same, something for other words, the same both ways."""
    there, back = (
        difference(first, second) * max(1, len(first.split())),
        difference(second, first) * max(1, len(second.split())),
    )

    assert there == pytest.approx(back)
    assert (there == 0) == (first == second)


@given(st.text(), st.text())
def test_the_report_is_xml_whatever_is_said(name: str, problem: str) -> None:
    """With the number of failures."""
    xml = junit_xml(
        name, [ExpectationResult("--expect 'a'", None), ExpectationResult("--expect 'b'", problem)], [], 1.5
    )

    suite = ET.fromstring(xml)  # noqa: S314 - our own
    assert suite.attrib == {"name": "rt talk", "tests": "3", "failures": "1", "errors": "0", "time": "1.500"}
    assert [case.find("failure") is not None for case in suite] == [False, False, True]


def test_an_error_is_no_failure() -> None:
    """Of the conversation itself."""
    suite = ET.fromstring(junit_xml("a.wav", [], [UnreachableError("no host", "check it", code="dns")], 0))  # noqa: S314

    error = suite.find("testcase/error")
    assert error is not None
    assert error.attrib == {"message": "no host: check it", "type": "dns"}
