"""Tools that the user names: which are called, with which arguments; over a real connection as well."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.replies.interface import Call, ReplyRequest, Text
from rt_cli.server.replies.named_tools import MOST_CALLS, named_calls
from rt_cli.server.replies.registry import open_replier
from rt_cli.server.session.session import ServerSession
from tests.fakes import run
from tests.server.client import Client, endpoint
from tests.server.replies.test_builtin import reply, spoken, written
from tests.server.scripted import ScriptedSession
from tests.server.session.test_event_table import SPEECH, WAIT
from tests.server.wire import Wire

PROPERTIES = {
    "city": {"type": "string"},
    "days": {"type": "integer"},
    "max_wind": {"type": "number"},
    "rain": {"type": "boolean"},
}
WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": PROPERTIES}}
CLOCK = {"type": "function", "name": "clock", "parameters": {}}
TIMER = {"type": "function", "name": "setTimer2", "parameters": {"properties": {"for": {}}}}
TOOLS = (WEATHER, CLOCK, TIMER)


def called(text: str, **more: Any) -> list[tuple[str, Any]]:
    """Names and arguments of the calls that a message leads to."""
    request = ReplyRequest([written("user", text)], **{"tools": TOOLS, **more})
    return [(call.name, call.arguments) for call in named_calls(request)]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("What is the clock?", [("clock", "{}")]),
        ("Get weather, please", [("get_weather", "{}")]),
        ("get_weather city Prague", [("get_weather", '{"city": "Prague"}')]),
        ("GET WEATHER: City=New York, days=3.", [("get_weather", '{"city": "New York", "days": 3}')]),
        ("get weather max wind 7.5 rain TRUE", [("get_weather", '{"max_wind": 7.5, "rain": true}')]),
        ("get weather days three rain 1", [("get_weather", '{"days": "three", "rain": "1"}')]),
        ("get weather days 2.5 max wind true", [("get_weather", '{"days": "2.5", "max_wind": "true"}')]),
        ("get weather city 'Brno' city", [("get_weather", '{"city": "Brno"}')]),
        ("set timer 2 for žluťoučký kůň", [("setTimer2", '{"for": "žluťoučký kůň"}')]),
        ('get_weather {"city":"clock","x":[1]} thanks', [("get_weather", '{"city":"clock","x":[1]}')]),
        ('get_weather({"days": 1}) and clock', [("get_weather", '{"days": 1}'), ("clock", "{}")]),
        ('get_weather: {"days": clock', [("get_weather", '{"days": clock')]),
        ("get_weather " + '{"a":' * 3_000, [("get_weather", '{"a":' * 3_000)]),
        (
            "get weather city Prague get weather city Brno",
            [("get_weather", '{"city": "Prague"}'), ("get_weather", '{"city": "Brno"}')],
        ),
        ("get weather max wind 1e999 days nan", [("get_weather", '{"max_wind": "1e999", "days": "nan"}')]),
        ("get weather days " + "[" * 1_500, [("get_weather", '{"days": "' + "[" * 1_500 + '"}')]),
        ("clocks, o'clockwork and weather", []),
        ("", []),
        ("x" * 5_000 + " clock", []),
        ("clock " * 40, [("clock", "{}")] * MOST_CALLS),
    ],
)
def test_names_and_arguments(text: str, calls: list[tuple[str, str]]) -> None:
    """Words of the name in any case; JSON as it stands, or properties with values in the types of their schema."""
    assert called(text) == calls


@pytest.mark.parametrize(
    ("choice", "text", "calls"),
    [
        ("none", "clock", []),
        ("required", "Hello, city Prague", [("get_weather", '{"city": "Prague"}')]),
        ("required", "clock", [("clock", "{}")]),
        ({"type": "function", "name": "clock"}, "get_weather", [("clock", "{}")]),
        ({"type": "function", "name": "other"}, "clock", []),
    ],
)
def test_tool_choice(choice: Any, text: str, calls: list[tuple[str, str]]) -> None:
    """The client's choice forbids, forces or selects."""
    assert called(text, tool_choice=choice) == calls


@pytest.mark.parametrize(
    "parameters", [None, [], {"properties": []}, {"properties": {"": {}, "b": 1, "c": {"type": []}}}]
)
def test_any_schema(parameters: Any) -> None:
    """A schema without usable properties gives no arguments, or texts."""
    tool = {"type": "function", "name": "clock", "parameters": parameters}
    assert [name for name, _ in called("clock b 1 c 2", tools=(tool,))] == ["clock"]


@given(st.text(st.sampled_from('clock getwhr_city{}":=1e9.- \n'), max_size=60))
def test_any_text(text: str) -> None:
    """Nothing raises; arguments that are not copied from the text are JSON objects of known properties."""
    for name, arguments in called(f"get weather {text}"):
        if not arguments.startswith("{") or arguments not in text:
            assert json.loads(arguments).keys() <= PROPERTIES.keys()
        assert name in {"get_weather", "clock"}


def call(call_id: str) -> dict[str, Any]:
    """A call as an item."""
    return {"type": "function_call", "call_id": call_id, "name": "clock", "arguments": "{}"}


def output(call_id: str, text: str) -> dict[str, Any]:
    """The output of a call as an item."""
    return {"type": "function_call_output", "call_id": call_id, "output": text}


@pytest.mark.parametrize(
    ("later", "template", "said"),
    [
        ([call("a"), output("a", "noon")], None, "The tool says: noon"),
        ([call("a"), call("b"), output("b", "rain"), output("a", "noon")], None, "The tool says: rain noon"),
        ([call("a"), output("a", "noon")], "At {output}.", "At noon."),
        ([call("a")], None, "You said: clock"),
        ([call("a"), output("a", "noon"), written("user", "thanks")], None, "You said: thanks"),
        ([call("a"), written("user", "thanks"), output("a", "noon")], None, "You said: thanks"),
    ],
)
def test_a_message_leads_to_calls_once(later: list[dict[str, Any]], template: str | None, said: str) -> None:
    """After its calls a message is answered with their outputs; outputs of earlier messages' calls do not count."""
    request = ReplyRequest([written("user", "clock"), *later], tools=TOOLS)
    assert reply(request, "text", reply_text=template) == [Text(said)]


def test_a_later_message_leads_to_calls_of_its_own() -> None:
    """Also if the output of an earlier call comes after it."""
    items = [written("user", "clock"), call("a"), spoken("the clock again"), output("a", "noon")]
    (part,) = reply(ReplyRequest(items, tools=TOOLS), "counted")
    assert isinstance(part, Call)
    assert (part.name, part.arguments) == ("clock", "{}")


def test_two_calls_over_a_connection() -> None:
    """One response with two calls and no message; after both outputs one response says them."""

    async def respond(client: Client) -> dict[str, Any]:
        await client.send("response.create")
        done: dict[str, Any] = (await client.until("response.done"))["response"]
        return done

    async def scenario() -> None:
        async with open_replier("counted") as replier, endpoint("", replier=replier) as client:
            await client.converse(tools=list(TOOLS))
            await client.say('get_weather {"city":"Prague"} and the clock')
            first = await respond(client)
            assert [(item["name"], item["arguments"]) for item in first["output"]] == [
                ("get_weather", '{"city":"Prague"}'),
                ("clock", "{}"),
            ]
            ids = [item["call_id"] for item in first["output"]]
            assert len(set(ids)) == 2
            done = client.of("response.function_call_arguments.done")
            assert [(event["call_id"], event["name"]) for event in done] == [(ids[0], "get_weather"), (ids[1], "clock")]
            deltas = client.of("response.function_call_arguments.delta")
            assert [event["delta"] for event in deltas] == [event["arguments"] for event in done]
            assert client.of("response.output_audio.delta") == []

            for call_id, text in zip(ids, ("rain", "noon"), strict=True):
                await client.send("conversation.item.create", item=output(call_id, text))
                await client.until("conversation.item.done")
            (message,) = (await respond(client))["output"]
            assert message["content"] == [{"type": "output_audio", "transcript": "The tool says: rain noon"}]

    run(scenario())


@pytest.mark.parametrize("template", [None, "Hello."])
def test_a_spoken_turn_names_a_tool(template: str | None) -> None:
    """With tools the words of a turn are waited for, also if neither client nor template need them."""

    async def scenario() -> list[dict[str, Any]]:
        audio = {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}}
        update = {"type": "realtime", "audio": audio, "tools": list(TOOLS)}
        wire = Wire([{"type": "session.update", "session": update}, *SPEECH, WAIT])
        async with open_replier("text", reply_text=template) as replier:
            recognizer = ScriptedSession("what's the clock in prague")
            session = ServerSession("realtime", recognizer, wire.send, lambda _: None, None, replier=replier)
            await session.run(wire.messages())
        return wire.events

    (done,) = [event["response"] for event in run(scenario()) if event["type"] == "response.done"]
    assert [item["name"] for item in done["output"]] == ["clock"]
