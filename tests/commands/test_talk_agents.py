"""``rt talk``, ``rt ask`` and ``rt say`` as tests of an agent: tools, expectations, the report, what differs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.program import read_wav, rt, served
from tests.servers import scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Client

CALL = {"type": "function_call", "id": "item_c", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Ulm"}'}
TOOL = f"weather={sys.executable} -c 'import sys; print(sys.argv[1] + \" is sunny\")' {{city}}"


async def reply(client: Client, number: int, text: str) -> None:
    """A reply in writing."""
    ids = {"response_id": f"r{number}", "item_id": f"i{number}", "output_index": 0, "content_index": 0}
    await client.say("response.created", response={"id": f"r{number}"})
    await client.say("response.output_text.delta", **ids, delta=text)
    await client.say("response.done", response={"id": f"r{number}", "status": "completed"})


async def weather_agent(client: Client) -> None:
    """Calls the tool, and says what it gave."""
    await client.greet()
    await client.until("response.create")
    await client.say("response.created", response={"id": "r1"})
    await client.say("response.output_item.done", response_id="r1", output_index=0, item=CALL)
    ids = {"response_id": "r1", "item_id": "item_c", "output_index": 0, "call_id": "call_1"}
    await client.say("response.function_call_arguments.done", **ids, name="weather", arguments=CALL["arguments"])
    output = await client.until("conversation.item.create")
    await client.say("response.done", response={"id": "r1", "status": "completed", "output": [CALL]})
    await client.until("response.create")
    await reply(client, 2, output["item"]["output"])
    await client.connection.wait_closed()


def test_a_tool_is_run_and_its_output_is_told() -> None:
    """Once, although three events tell of the call; one request for the reply."""
    with scripted(weather_agent) as server:
        ran = rt("talk", "--url", server.url, "--no-audio", "--json", "-q", "--tool", TOOL, stdin=b"weather?\n")

    assert ran.exit == 0, ran.err
    (tool,), (said,) = ran.of("tool"), ran.of("reply")
    assert (tool["name"], tool["arguments"], tool["exit"]) == ("weather", '{"city": "Ulm"}', 0)
    assert said["text"].strip() == "Ulm is sunny"
    assert ran.summary["tool_calls"] == 1
    kinds = [event["type"] for event in server.received]
    assert kinds.count("response.create") == 2
    update = next(event for event in server.received if event["type"] == "session.update")
    assert update["session"]["tools"][0]["name"] == "weather"
    assert update["session"]["output_modalities"] == ["text"]


@pytest.mark.parametrize(
    ("expected", "exit_code", "line"),
    [
        (("--expect", "SUNNY", "--expect-tool", "weather", "--expect-not", "rain"), 0, None),
        (("--expect", "rain"), 8, "rt: --expect 'rain': no reply says it, but: Ulm is sunny"),
        (("--expect-not", "sunny"), 8, "rt: --expect-not 'sunny': reply 1 says it: Ulm is sunny"),
        (("--max-latency", "1s"), 8, "rt: --max-latency 1s: no latency was measured"),
    ],
)
def test_expectations(expected: tuple[str, ...], exit_code: int, line: str | None, tmp_path: Path) -> None:
    """Exit code 8, and the line that says which; the report has them all."""
    report = tmp_path / "report.xml"
    with scripted(weather_agent) as server:
        arguments = ("--url", server.url, "--no-audio", "-q", "--tool", TOOL, "--junit", str(report))
        ran = rt("talk", *arguments, *expected, stdin=b"weather?\n")

    assert ran.exit == exit_code, ran.err
    assert ran.causes == ([] if line is None else [line])
    suite = ET.fromstring(report.read_bytes())  # noqa: S314 - our own
    assert suite.attrib["failures"] == str(int(line is not None))
    assert len(suite) == 1 + len(expected) // 2


def test_a_cause_comes_before_an_expectation(tmp_path: Path) -> None:
    """Who was not reached did not answer; the report has an error."""
    report = tmp_path / "report.xml"

    ran = rt(
        *("talk", "--url", "ws://127.0.0.1:9", "--connect-timeout", "0.3", "--no-audio", "-q"),
        *("--expect", "x", "--junit", str(report)),
        stdin=b"hello\n",
    )

    assert ran.exit == 5
    suite = ET.fromstring(report.read_bytes())  # noqa: S314 - our own
    assert suite.attrib["errors"] == "1"


@pytest.mark.parametrize(
    ("code", "exit_code"), [("server_error", 7), ("insufficient_quota", 4)], ids=["incomplete", "refused"]
)
def test_a_failed_reply(code: str, exit_code: int) -> None:
    """It is a cause of its own."""

    async def fail(client: Client) -> None:
        await client.greet()
        await client.until("response.create")
        await client.say("response.created", response={"id": "r1"})
        error = {"type": "server_error", "code": code, "message": "no more"}
        details = {"type": "failed", "error": error}
        await client.say("response.done", response={"id": "r1", "status": "failed", "status_details": details})
        await client.connection.wait_closed()

    with scripted(fail) as server:
        ran = rt("ask", "--url", server.url, "hello", "-q")

    assert ran.exit == exit_code, ran.err


def test_no_reply_at_all() -> None:
    """The wait has an end; the line says to what nobody replied."""

    async def be_silent(client: Client) -> None:
        await client.greet()
        await client.until("response.create")
        await client.connection.wait_closed()

    with scripted(be_silent) as server:
        ran = rt("ask", "--url", server.url, "hello", "--reply-timeout", "0.5")

    assert (ran.exit, ran.out) == (7, "")
    assert ran.causes == ["rt: no reply to hello: -vv shows what the endpoint says; --reply-timeout waits longer"]


@pytest.mark.parametrize(("code", "exit_code"), [("rate_limit_exceeded", 7), ("insufficient_quota", 4)])
def test_a_refused_request_is_said(code: str, exit_code: int) -> None:
    """With the words of the endpoint, and the exit code of its error."""

    async def refuse(client: Client) -> None:
        await client.greet()
        asked = await client.until("response.create")
        await client.fail(code, "slow down", event_id=asked["event_id"])
        await client.connection.wait_closed()

    with scripted(refuse) as server:
        ran = rt("ask", "--url", server.url, "hello")

    assert ran.exit == exit_code
    assert "slow down" in ran.err
    assert len(ran.causes) == 1


def test_the_model_is_in_the_url() -> None:
    """Where gateways look for it; never an intent."""

    async def answer(client: Client) -> None:
        assert client.connection.request is not None
        path = client.connection.request.path
        await client.greet()
        await client.until("response.create")
        await reply(client, 1, path)
        await client.connection.wait_closed()

    with scripted(answer) as server:
        named = rt("ask", "--url", server.url, "-m", "agent-1", "hello", "-q")
        in_url = rt("ask", "--url", f"{server.url}/?model=agent-2", "hello", "-q")

    assert named.out == "/v1/realtime?model=agent-1\n"
    assert in_url.out == "/v1/realtime?model=agent-2\n"


@pytest.fixture(scope="module")
def voice() -> Iterator[str]:
    """The URL of an endpoint that says the words of the user, and a word more."""
    pytest.importorskip("espeakng_loader")
    with served("--recognizer", "none", "--reply", "voice", "--reply-text", "{transcript} really") as (url, _):
        yield url


def test_ask_with_sound(voice: str, tmp_path: Path) -> None:
    """Text on stdout, sound in the file; nobody waits while it would sound."""
    answer = tmp_path / "answer.wav"

    ran = rt("ask", "--url", voice, "-q", "-o", str(answer), "-", stdin=b"How are you today my old friend?\n")

    assert (ran.exit, ran.out) == (0, "How are you today my old friend? really\n"), ran.err
    pcm, rate = read_wav(answer)
    assert rate == 24_000
    assert len(pcm) > 24_000


def test_say_compares_the_words(voice: str, tmp_path: Path) -> None:
    """More of them than the limit differ: exit code 8."""
    text = "One two three four five."

    within = rt("say", "--url", voice, text, "-o", str(tmp_path / "a.wav"), "-q", "--max-difference", "0.2")
    beyond = rt("say", "--url", voice, text, "-o", str(tmp_path / "b.wav"), "-q")

    assert within.exit == 0, within.err
    assert beyond.exit == 8
    assert beyond.causes == ["rt: what was said: 20% of the words differ: One two three four five. really"]
    assert len(read_wav(tmp_path / "b.wav")[0]) > 24_000


def test_say_with_the_embedded_endpoint() -> None:
    """Word for word, as a WAV stream."""
    pytest.importorskip("espeakng_loader")

    ran = rt("say", "--local", "The train leaves at noon.", "-o", "/dev/null", "--force", "-q", "--json")

    assert ran.exit == 0, ran.err
    assert [event["text"] for event in ran.of("reply")] == ["The train leaves at noon."]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(("ask",), "nothing to ask", id="nothing asked"),
        pytest.param(("ask", "a", "--file", "b.wav"), "both a text and --file", id="two questions"),
        pytest.param(("ask", "a", "-o", "-", "--json"), "write to stdout", id="stdout twice"),
        pytest.param(("ask", "a", "-o", "a.wav", "--no-audio"), "leaves nothing", id="no audio"),
        pytest.param(("say", "a"), "nowhere to say it", id="nowhere"),
        pytest.param(("say", "-o", "a.wav"), "nothing to say", id="nothing said"),
        pytest.param(("say", "a", "-o", "a.wav", "--max-difference", "x"), "--max-difference", id="no share"),
        pytest.param(("talk", "--expect-tool", "x"), "there is no such tool", id="no such tool"),
        pytest.param(("talk", "--max-latency", "soon"), "--max-latency", id="no time"),
    ],
)
def test_usage_errors(arguments: tuple[str, ...], problem: str) -> None:
    """One line, exit code 2, nothing on stdout."""
    ran = rt(*arguments, stdin=b"")

    assert (ran.exit, ran.out) == (2, "")
    assert problem in ran.causes[0]


def test_lines_of_ndjson_are_events() -> None:
    """Each line is one object, the last the summary with the exit code."""
    with scripted(weather_agent) as server:
        arguments = ("--url", server.url, "--no-audio", "--json", "-q", "--tool", TOOL, "--expect", "rain")
        ran = rt("talk", *arguments, stdin=b"weather?\n")

    assert ran.exit == ran.summary["exit"] == 8
    (error,) = ran.of("error")
    assert (error["code"], error["message"]) == (
        "expectation",
        "--expect 'rain': no reply says it, but: Ulm is sunny",
    )
    assert [json.loads(line)["type"] for line in ran.out.splitlines()][-1] == "summary"
