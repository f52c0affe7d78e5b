"""The grammar of ``--fault``: valid specs are parsed, and errors quote the invalid part."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import TypeAdapter

from rt_cli.errors import UsageError
from rt_cli.help.topics import read_topic
from rt_cli.server.faults.event_names import CLIENT_EVENTS, COMPLETED, SERVER_EVENTS
from rt_cli.server.faults.grammar import KINDS, Fault, FaultPlan, parse
from rt_cli.server.faults.malformed import GARBAGE, payload
from rt_cli.server.faults.values import CloseFrame, Delay, Moment, Rate, Rejection, Span

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

MS = st.integers(1, 86_400_000)
CODES = st.from_regex(r"[A-Za-z_]{1,64}", fullmatch=True)
SPANS = st.builds(lambda a, b: Span(min(a, b), max(a, b)), MS, MS)
EVENTS = st.sampled_from([*SERVER_EVENTS, "response.*", "conversation.item.*"])
REASONS = st.just("") | st.from_regex(r"[A-Za-z_ .,'-]{1,99}[a-z]", fullmatch=True)
VALUES: dict[str, SearchStrategy[object]] = {
    "status": st.sampled_from([200, 401, 404, 429, 500, 503]),
    "handshake": SPANS,
    "drop": st.sampled_from(["rst", "fin"]),
    "close": st.builds(CloseFrame, st.sampled_from([1000, 1001, 1014, 3000, 4999]), REASONS),
    "expire": SPANS,
    "error": CODES,
    "garbage": st.sampled_from(GARBAGE),
    "slow": st.builds(Rate, st.integers(1, 999_999_999)),
    "delay": st.builds(Delay, st.none() | EVENTS, SPANS),
    "omit": EVENTS,
    "dup": EVENTS,
    "reorder": EVENTS,
    "corrupt": EVENTS,
    "late": SPANS,
    "cut": SPANS,
    "reject": st.builds(Rejection, st.sampled_from([*CLIENT_EVENTS, "input_audio_buffer.*"]), CODES),
}
MOMENTS = (
    st.builds(lambda span: Moment("time", span), SPANS)
    | st.builds(lambda span: Moment("audio", span), SPANS)
    | st.builds(lambda turn: Moment("turn", number=turn), st.integers(1, 999_999_999))
    | st.builds(lambda span, reply: Moment("reply", span, reply), st.none() | SPANS, st.integers(1, 999_999_999))
)


@cache
def server_events() -> TypeAdapter[Any]:
    """All server events of OpenAI."""
    return TypeAdapter(RealtimeServerEvent)


@st.composite
def faults(draw: DrawFn) -> Fault:
    """Any valid fault."""
    name = draw(st.sampled_from(sorted(KINDS)))
    counts = st.integers(1, 999_999_999)
    return Fault(
        name,
        draw(VALUES.get(name, st.none())),  # type: ignore[arg-type]  # the table has the right ones
        when=draw(st.none() | MOMENTS) if KINDS[name].when else None,
        lasts_ms=draw(st.none() | MS) if KINDS[name].lasts else None,
        times=draw(st.none() | counts),
        connection=draw(st.none() | counts),
        every=draw(st.just(1) | counts),
        chance=draw(st.just(1.0) | st.integers(1, 999_999).map(lambda n: n / 1_000_000)),
    )


@given(faults())
def test_str_of_a_fault_parses_back(fault: Fault) -> None:
    """Parsing ``str(fault)`` returns the same fault."""
    assert parse([str(fault)]) == FaultPlan((fault,))


@given(st.text(max_size=40) | st.from_regex(r"(drop|stall|delay|omit|close|status)[=@/#~%x0-9a-z.:]{0,12}"))
def test_any_text_is_a_plan_or_one_line(spec: str) -> None:
    """Any text is valid or raises UsageError with a one-line message."""
    try:
        said = "".join(str(fault) for fault in parse([spec]).faults)
    except UsageError as wrong:
        said = str(wrong)

    assert "\n" not in said


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("drop@3s", Fault("drop", "rst", Moment("time", Span(3000, 3000)))),
        ("drop=fin@3s..8s~0.2", Fault("drop", "fin", Moment("time", Span(3000, 8000)), chance=0.2)),
        ("close=1001@10s", Fault("close", CloseFrame(1001), Moment("time", Span(10_000, 10_000)))),
        ("close=4001:no such model", Fault("close", CloseFrame(4001, "no such model"))),
        ("stall@5s/4s", Fault("stall", None, Moment("time", Span(5000, 5000)), lasts_ms=4000)),
        ("stall@turn2x1", Fault("stall", None, Moment("turn", number=2), times=1)),
        ("delay=300ms", Fault("delay", Delay(None, Span(300, 300)))),
        ("delay=session.created:9s", Fault("delay", Delay("session.created", Span(9000, 9000)))),
        ("omit=session.updated", Fault("omit", "session.updated")),
        ("dup=completed", Fault("dup", COMPLETED)),
        ("status=503x2", Fault("status", 503, times=2)),
        ("status=429x2/3s", Fault("status", 429, lasts_ms=3000, times=2)),
        ("status=429/3sx2", Fault("status", 429, lasts_ms=3000, times=2)),
        ("quotax2", Fault("quota", times=2)),
        ("error=proxx2", Fault("error", "prox", times=2)),
        ("failed%2", Fault("failed", every=2)),
        ("garbage@audio1.5s", Fault("garbage", "json", Moment("audio", Span(1500, 1500)))),
        ("reject=update", Fault("reject", Rejection("session.update"))),
        ("reject=response.*:busy", Fault("reject", Rejection("response.*", "busy"))),
        ("dup=response.*~0.1", Fault("dup", "response.*", chance=0.1)),
        ("delay=response.*:1ms..2s", Fault("delay", Delay("response.*", Span(1, 2000)))),
        ("late=2s%2", Fault("late", Span(2000, 2000), every=2)),
        ("cut=1ms..400msx3", Fault("cut", Span(1, 400), times=3)),
        ("drop@reply2", Fault("drop", "rst", Moment("reply", number=2))),
        ("stall@reply1:400ms..1s/3s", Fault("stall", None, Moment("reply", Span(400, 1000), 1), lasts_ms=3000)),
        ("mute#2", Fault("mute", connection=2)),
    ],
)
def test_valid_specs(spec: str, fault: Fault) -> None:
    """Examples, with suffixes in any order and short event names."""
    assert parse([spec]).faults == (fault,)


@pytest.mark.parametrize(
    ("spec", "quoted"),
    [
        ("dorp@3s", "'dorp'; did you mean drop?"),
        ("nonsense", "'nonsense'; there are status,"),
        ("", "''"),
        ("drop@3", "'@3' is no moment; it is @3s,"),
        ("drop@8s..3s", "'@8s..3s' is no moment"),
        ("drop@50%", "'@50' is no moment"),
        ("drop@3s@4s", "'@' is there twice"),
        ("drop@reply", "'@reply' is no moment; it is @3s, @300ms, @3s..8s, @audio5s, @turn2, @reply2 or @reply2:400ms"),
        ("drop@reply0:1s", "'@reply0:1s'"),
        ("drop@reply1:", "'@reply1:'"),
        ("omit=nothing.*", "'=nothing.*': no such event"),
        ("omit=.*", "'=.*': no such event"),
        ("late", "late needs a value, as in late=2s"),
        ("cut=400ms@3s@4s", "'@' is there twice"),
        ("drop@turn0", "'@turn0'"),
        ("drop@3s/4s", "'/4s': drop has no length"),
        ("status=503@3s", "'@3s': status has no moment of its own"),
        ("status", "status needs a value, as in status=503"),
        ("status=101", "'=101': no HTTP status"),
        ("status=999", "'=999': no HTTP status"),
        ("close=1006", "'=1006': no close code that can be sent"),
        ("close=1001:caf\u00e9", "'=1001:caf\u00e9': a reason is"),
        ("stall=4s", "'=4s': stall takes no value"),
        ("stall/4", "'/4': a time has a unit"),
        ("delay=0ms", "'=0ms': a time has a unit"),
        ("omit=done", "done may be any of conversation.item.done,"),
        ("omit=compleated", "did you mean completed?"),
        ("reject=committed", "'=committed': no such event"),
        ("drop~1.5", "'~1.5' is not a chance"),
        ("drop~0.0", "'~0.0' is not a chance"),
        ("drop%0", "'%0' is not every how many"),
        ("drop#x", "'#x' is not the number of a connection"),
        ("slow=0kB", "'=0kB': no rate"),
        ("garbage=bin", "'=bin': it is one of json,"),
        ("seed=x", "'seed=x' is not a whole number"),
    ],
)
def test_invalid_specs(spec: str, quoted: str) -> None:
    """The message quotes the invalid part and says what is valid."""
    with pytest.raises(UsageError, match=re.escape(quoted)) as raised:
        parse(["drop@3s", spec])

    assert raised.value.message.startswith(f"--fault {spec!r}: ")


def test_seed() -> None:
    """One seed for all faults; a second one is an error."""
    assert parse(["drop~0.5", "seed=7"]).seed == 7
    assert not parse(["seed=7"])
    with pytest.raises(UsageError, match="a second seed"):
        parse(["seed=7", "seed=8"])


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_no_valid_event(kind: str) -> None:
    """Every kind has a payload that is not an OpenAI event, or not JSON, or not UTF-8."""
    how, data = payload(kind)

    if kind == "huge":  # OpenAI's types need half a minute to reject this
        assert data.startswith(b'{"type":"garbage.huge"')
    elif how == "text":
        with pytest.raises(ValueError, match=r"."):
            server_events().validate_json(data)


def test_unknown_kind_of_garbage() -> None:
    """An unknown kind raises ValueError."""
    with pytest.raises(ValueError, match="rubbish"):
        payload("rubbish")


def test_names_of_events() -> None:
    """The event names are OpenAI's."""
    for union, names in ((server_events(), SERVER_EVENTS), (TypeAdapter(RealtimeClientEvent), CLIENT_EVENTS)):
        schema = str(union.json_schema())
        assert [name for name in names if f"'const': '{name}'" not in schema] == []


def test_faults_of_the_help_topic() -> None:
    """Every fault that the topic of the help recommends is one."""
    recommended = re.findall(r"`([a-z]+[=@][^` ]*)`", read_topic("faults", {"faults": lambda: ""}))
    specs = [spec for spec in recommended if spec != "seed=N"]
    assert len(parse(specs).faults) == len(specs) > 10
