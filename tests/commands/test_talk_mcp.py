"""``rt talk --mcp`` against real MCP servers, by stdio and streamable HTTP: their tools, their faults, their end."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.program import Ran, ended, rt, start
from tests.servers import scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import Client, Server

needs_mcp = pytest.mark.skipif(find_spec("mcp") is None, reason="the extra mcp is not installed")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")

PROGRAM = str(Path(__file__).parents[1] / "talk" / "mcp_server.py")
TALK = ("talk", "--no-audio", "--json", "-q")
NOWHERE = "ws://127.0.0.1:9"
"""Nobody may connect to it: what is wrong is said before."""


async def caller(client: Client) -> None:
    """For each line of the user, ``NAME ARGUMENTS``, calls the tool, then says that it is done."""
    await client.greet()
    for number in itertools.count(1):
        line = (await client.until("conversation.item.create"))["item"]["content"][0]["text"]
        await client.until("response.create")
        name, _, arguments = line.partition(" ")
        call = {"type": "function_call", "id": f"i{number}", "call_id": f"c{number}", "name": name}
        call["arguments"] = arguments
        await client.say("response.created", response={"id": f"r{number}"})
        await client.say("response.output_item.done", response_id=f"r{number}", output_index=0, item=call)
        await client.say("response.done", response={"id": f"r{number}", "status": "completed", "output": [call]})
        await client.until("response.create")
        await say_done(client, number)


async def say_done(client: Client, number: int) -> None:
    """A reply in writing."""
    ids = {"response_id": f"d{number}", "item_id": f"m{number}", "output_index": 0, "content_index": 0}
    await client.say("response.created", response={"id": f"d{number}"})
    await client.say("response.output_text.delta", **ids, delta="done")
    await client.say("response.done", response={"id": f"d{number}", "status": "completed"})


def outputs(server: Server) -> list[str]:
    """What the endpoint was given by tools, in order."""
    items = [event["item"] for event in server.received if event["type"] == "conversation.item.create"]
    return [item["output"] for item in items if item["type"] == "function_call_output"]


def declared(server: Server) -> dict[str, dict[str, Any]]:
    """The tools that the endpoint was told of, by name."""
    update = next(event for event in server.received if event["type"] == "session.update")
    return {tool["name"]: tool for tool in update["session"].get("tools", ())}


def demo(*behaviour: str, **fields: Any) -> dict[str, Any]:
    """The entry of a server by stdio."""
    return {"command": sys.executable, "args": [PROGRAM, *behaviour], **fields}


DIES = "import sys; print('Error: no such \x1b[31mmodule', file=sys.stderr); sys.exit(4)"
HANGS = "import sys, time; print('waiting for the database', file=sys.stderr, flush=True); time.sleep(60)"
TALKS = "import time; print('what is no message', flush=True); time.sleep(60)"


def python(code: str, **fields: Any) -> dict[str, Any]:
    """The entry of a program that is no server."""
    return {"command": sys.executable, "args": ["-c", code], **fields}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write a file of servers, and return its name."""

    def written(**servers: object) -> str:
        path = tmp_path / "mcp.json"
        path.write_text(json.dumps({"mcpServers": servers}))
        return str(path)

    return written


@contextmanager
def http_server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server by streamable HTTP: its URL and its process."""
    port = folder / "port"
    process = subprocess.Popen(
        [sys.executable, PROGRAM, "http", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 30
        while not port.exists():
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port.read_text()}/mcp", process
    finally:
        process.kill()
        process.wait(10)


def conversation(file: str, *lines: str, more: tuple[str, ...] = ()) -> tuple[Ran, Server]:
    """Let the endpoint call the tools that the lines name."""
    with scripted(caller) as server:
        text = "".join(f"{line}\n" for line in lines).encode()
        return rt(*TALK, "--url", server.url, "--mcp", file, *more, stdin=text), server


def lives(pid: int) -> bool:
    """Whether a process runs: a zombie does not."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def until_gone(pids: list[int], seconds: float = 15) -> list[int]:
    """Wait for the end of processes; return those that live."""
    until = time.monotonic() + seconds
    while (left := [pid for pid in pids if lives(pid)]) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def until_written(path: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait for a file, and return its text."""
    until = time.monotonic() + 30
    while not path.exists() or not path.read_text():
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.05)
    return path.read_text()


@needs_mcp
def test_a_tool_is_called_once_and_its_output_is_told(write: Callable[..., str], tmp_path: Path) -> None:
    """Description and schema are those of the server; the call is counted and shown."""
    log = tmp_path / "calls"
    file = write(demo=demo(env={"MCP_LOG": str(log)}))

    ran, server = conversation(file, 'add {"a": 1, "b": 2}', more=("--expect-tool", "add"))

    assert ran.exit == 0, ran.err
    assert outputs(server) == ["the sum is 3"]
    assert log.read_text() == "add 1 2\n"
    (tool,) = ran.of("tool")
    assert (tool["name"], tool["arguments"], tool["exit"]) == ("add", '{"a": 1, "b": 2}', 0)
    assert ran.summary["tool_calls"] == 1
    assert declared(server)["add"]["description"] == "Add two numbers."
    assert declared(server)["add"]["parameters"]["required"] == ["a", "b"]
    assert "files_remove" in declared(server)


@needs_mcp
def test_a_server_by_http(write: Callable[..., str], tmp_path: Path) -> None:
    """On any port; beside one by stdio, and a tool of the command line."""
    with http_server(tmp_path) as (url, _):
        file = write(web={"url": url, "type": "http", "prefix": "web_"}, demo=demo())
        lines = ('web_add {"a": 1, "b": 2}', 'add {"a": 2, "b": 3}', "echo", "web_huge", "web_die", "web_slow")
        ran, server = conversation(file, *lines, more=("--tool", "echo=echo hello"))

    assert ran.exit == 0, ran.err
    *outs, huge, died, after = outputs(server)
    assert outs == ["the sum is 3", "the sum is 5", "hello\n"]
    assert "longer than 4194304 bytes" in huge or "SSE" in huge
    assert [json.loads(output)["error"] for output in (died, after)] == ["the MCP server web has ended"] * 2
    warnings = [event["message"] for event in ran.of("warning") if event["code"] == "mcp_server_ended"]
    assert len(warnings) == 2
    assert all(message.endswith("the next call connects again") for message in warnings)


@needs_mcp
def test_a_url_is_connected_to_again(write: Callable[..., str], tmp_path: Path) -> None:
    """By the call after the one that failed, which is not sent again; only when the server is there again."""
    log, port = tmp_path / "calls", tmp_path / "port"
    serve = (
        f"import os, subprocess, sys; os.environ['MCP_LOG'] = {str(log)!r}\n"
        f"for _ in range(2): subprocess.call([sys.executable, {PROGRAM!r}, 'http', {str(port)!r}])"
    )
    wait = tmp_path / "wait.py"
    wait.write_text(
        "import socket, sys, time\n"
        "while socket.socket().connect_ex(('127.0.0.1', int(open(sys.argv[1]).read()))): time.sleep(0.1)\n"
    )
    loop = subprocess.Popen([sys.executable, "-c", serve], stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        file = write(web={"url": f"http://127.0.0.1:{until_written(port, loop)}/mcp"})
        ready = ("--tool", f"ready={sys.executable} {wait} {port}")
        ran, server = conversation(file, "die", 'add {"a": 1, "b": 2}', "ready", 'add {"a": 3, "b": 4}', more=ready)
    finally:
        os.killpg(loop.pid, signal.SIGKILL)
        loop.wait(10)

    assert ran.exit == 0, ran.err
    died, gone, _, added = outputs(server)
    assert [json.loads(output)["error"] for output in (died, gone)] == ["the MCP server web has ended"] * 2
    assert added == "the sum is 7"
    assert log.read_text() == "die\nadd 3 4\n"


@needs_mcp
def test_errors_for_the_model(write: Callable[..., str]) -> None:
    """What the schema does not allow, failures, images, and what takes too long; the conversation goes on."""
    errors = {
        'add {"a": "x", "b": 2}': "$.a: 'x' is not of type 'integer'",
        'add {"a": 1}': "$: 'b' is a required property",
        "add {": "the arguments are not JSON",
        "add [1]": "$: [1] is not of type 'object'",
        "subtract {}": "there is no such tool",
        "fail": "it failed: Error executing tool fail: no such \x1b[31mcity",
        "picture": "its result cannot be read: image of type image/png, left out",
        "slow": "it took longer than 3 s",
    }

    ran, server = conversation(write(demo=demo(timeout=3)), *errors, 'add {"a": 1, "b": 2}')

    assert ran.exit == 0, ran.err
    *failed, added = outputs(server)
    assert [json.loads(output)["error"] for output in failed] == list(errors.values())
    assert added == "the sum is 3"
    assert [tool["exit"] for tool in ran.of("tool")] == [None, None, None, None, None, 1, 1, None, 0]
    assert [reply["text"] for reply in ran.of("reply")] == ["done"] * 9
    assert "\x1b" not in ran.err


@needs_mcp
@pytest.mark.parametrize(
    ("line", "why"),
    [("die", "exit code 3, out of memory"), ("huge", "a message of it is longer than 4194304 bytes")],
)
def test_a_server_that_ends_is_reported_once(write: Callable[..., str], tmp_path: Path, line: str, why: str) -> None:
    """With its last words; later calls fail at once, and none is sent again."""
    log = tmp_path / "calls"
    file = write(demo=demo(env={"MCP_LOG": str(log)}))

    ran, server = conversation(file, line, 'add {"a": 1, "b": 2}', line)

    assert ran.exit == 0, ran.err
    (warning,) = [event for event in ran.of("warning") if event["code"] == "mcp_server_ended"]
    assert warning["message"] == f"the MCP server demo has ended: {why}; its tools fail from now on"
    assert [json.loads(output)["error"] for output in outputs(server)] == ["the MCP server demo has ended"] * 3
    assert log.read_text() == f"{line}\n"


@needs_mcp
def test_results_that_are_cut_or_mixed(write: Callable[..., str]) -> None:
    """32 KiB of text; a note for what is none."""
    ran, server = conversation(write(demo=demo()), "flood", "captioned")

    assert ran.exit == 0, ran.err
    flood, captioned = outputs(server)
    assert flood == "x" * 32 * 1024
    assert captioned == "a cat\n[image of type image/png, left out]"


@needs_mcp
def test_none_of_our_keys_is_in_its_environment(write: Callable[..., str]) -> None:
    """Only where programs and files are, and what the file says; ``${NAME}`` is filled in."""
    keys = {"OPENAI_API_KEY": "sk-the-one-of-the-run", "RT_API_KEY": "sk-the-one-of-the-run", "MY_TOKEN": "abc"}
    file = write(demo=demo(env={"GIVEN": "${MY_TOKEN}", "OTHER": "${UNSET:-x}"}))
    with scripted(caller) as server:
        ran = rt(*TALK, "--url", server.url, "--mcp", file, stdin=b"environment\n", env=keys)

    assert ran.exit == 0, ran.err
    names = json.loads(outputs(server)[0]) if outputs(server)[0].startswith("[") else outputs(server)[0].split("\n")
    assert {"PATH", "GIVEN", "OTHER"} <= set(names)
    assert not {"OPENAI_API_KEY", "RT_API_KEY", "MY_TOKEN", "RT_TOOL_ARGUMENTS"} & set(names)


@needs_mcp
def test_what_it_writes_is_no_line_of_ours(write: Callable[..., str]) -> None:
    """Neither its stderr, nor what it writes to stdout that is no message."""
    ran, server = conversation(write(demo=demo("noisy")), 'add {"a": 1, "b": 2}')

    assert (ran.exit, outputs(server), ran.err) == (0, ["the sum is 3"], "")


@needs_mcp
@pytest.mark.parametrize(
    ("entry", "exit_code", "problem"),
    [
        pytest.param(python(DIES), 6, "exit code 4, Error: no such module", id="it ends"),
        pytest.param(
            python(HANGS, start_timeout=3), 5, "no answer within 3 s; it wrote: waiting for the", id="it hangs"
        ),
        pytest.param(python(TALKS, start_timeout=3), 5, "it wrote: what is no message", id="no messages"),
        pytest.param({"url": "http://127.0.0.1:9/mcp"}, 5, "cannot be reached", id="nobody listens"),
        pytest.param(demo(tools=["add", "multiply"]), 2, "has no tool multiply", id="no such tool"),
        pytest.param(demo(prefix="x" * 30, tools=["add"], timeout=9), 2, "--expect-tool", id="no expected tool"),
    ],
)
def test_servers_that_cannot_be_used(
    write: Callable[..., str], entry: dict[str, Any], exit_code: int, problem: str
) -> None:
    """One line, before anything connects to the endpoint; a summary."""
    ran = rt(*TALK, "--url", NOWHERE, "--mcp", write(demo=entry), "--expect-tool", "add", stdin=b"hello\n")

    assert ran.exit == ran.summary["exit"] == exit_code, ran.err
    (error,) = ran.of("error")
    assert problem in error["message"]
    assert len(ran.causes) == 1
    assert "\x1b" not in ran.err


@needs_mcp
@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_a_url_that_refuses(write: Callable[..., str], status: int) -> None:
    """The exit code of what it says."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        headers = {"Authorization": "Bearer of-the-server"}
        file = write(web={"url": f"http://127.0.0.1:{http.server_port}/mcp", "headers": headers})
        ran = rt(*TALK, "--url", NOWHERE, "--mcp", file, stdin=b"hello\n")
        http.shutdown()

    assert ran.exit == {401: 4, 403: 4, 404: 6, 503: 5}[status]
    assert f"HTTP {status}" in ran.causes[0]
    assert "of-the-server" not in ran.err + ran.out


@needs_mcp
def test_names_that_clash(write: Callable[..., str]) -> None:
    """With a tool of the command line, and between servers; a prefix, or a choice of tools, helps."""
    file = write(demo=demo())
    clash = rt(*TALK, "--url", NOWHERE, "--mcp", file, "--tool", "add=true", stdin=b"hello\n")
    between = rt(*TALK, "--url", NOWHERE, "--mcp", write(a=demo(), b=demo()), stdin=b"hello\n")
    ran, server = conversation(write(a=demo(tools=["add"]), b=demo(prefix="b-")), 'b-add {"a": 1, "b": 2}')

    assert (clash.exit, between.exit) == (2, 2)
    assert "two tools are named add, one of the MCP server demo" in clash.causes[0]
    assert "two tools are named add, one of the MCP server b" in between.causes[0]
    assert (ran.exit, outputs(server)) == (0, ["the sum is 3"])
    assert {"add", "b-add", "b-fail"} <= set(declared(server))
    assert "fail" not in declared(server)


@needs_mcp
def test_what_is_to_be_confirmed_is_refused_without_a_terminal(write: Callable[..., str], tmp_path: Path) -> None:
    """Where only destructive tools are asked for, one that only reads runs."""
    log = tmp_path / "calls"
    file = write(demo=demo(confirm="destructive", env={"MCP_LOG": str(log)}))
    with scripted(caller) as server:
        lines = b'files_remove {"path": "a"}\nadd {"a": 1, "b": 2}\n'
        process = start(*TALK, "--url", server.url, "--mcp", file, stdin=subprocess.PIPE, session=True)
        ran = ended(process, stdin=lines)

    assert ran.exit == 0, ran.err
    assert json.loads(outputs(server)[0]) == {"error": "nobody is there to allow it"}
    assert outputs(server)[1] == "the sum is 3"
    assert log.read_text() == "add 1 2\n"


@needs_mcp
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left(write: Callable[..., str], tmp_path: Path, number: signal.Signals | None) -> None:
    """Not of a server that ignores the end of its input and SIGTERM, not of its child; even after ``kill -9``."""
    pids, log = tmp_path / "pids", tmp_path / "calls"
    file = write(demo=demo("stubborn", str(pids), env={"MCP_LOG": str(log)}))
    with scripted(caller) as server:
        process = start(*TALK, "--url", server.url, "--mcp", file, stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(b'add {"a": 1, "b": 2}\n')
        process.stdin.flush()
        until_written(log, process)
        found = [int(pid) for pid in pids.read_text().split()]
        assert len(found) == 2
        assert all(map(lives, found))
        if number is not None:
            process.send_signal(number)
        ran = ended(process)

    assert ran.exit == (-9 if number == signal.SIGKILL else 0), ran.err
    assert until_gone(found) == []


@needs_mcp
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_an_interrupt_while_a_server_starts(write: Callable[..., str], tmp_path: Path) -> None:
    """Ends it, and the run, as it ends a conversation."""
    pid = tmp_path / "pid"
    wait = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(60)"
    file = write(demo=python(wait))
    with scripted(caller) as server:
        process = start(*TALK, "--url", server.url, "--mcp", file, stdin=subprocess.PIPE)
        found = int(until_written(pid, process))
        process.send_signal(signal.SIGINT)
        ran = ended(process, seconds=20)

    assert ran.exit == ran.summary["exit"] == 0, ran.err
    assert until_gone([found]) == []


@needs_mcp
def test_a_call_is_not_repeated_on_the_next_connection(write: Callable[..., str], tmp_path: Path) -> None:
    """The endpoint is gone while the tool runs: the next connection gets the output of the one call."""
    log = tmp_path / "calls"
    connections = itertools.count(1)

    async def cut(client: Client) -> None:
        await client.greet()
        if next(connections) == 1:
            await client.until("response.create")
            call = {"type": "function_call", "id": "i", "call_id": "c", "name": "rest", "arguments": "{}"}
            await client.say("response.created", response={"id": "r"})
            await client.say("response.output_item.done", response_id="r", output_index=0, item=call)
            while not log.exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.01)
            client.cut()
            return
        await client.until("response.create")
        await say_done(client, 2)
        await client.connection.wait_closed()

    with scripted(cut) as server:
        file = write(demo=demo(env={"MCP_LOG": str(log)}))
        ran = rt(*TALK, "--url", server.url, "--mcp", file, stdin=b"add\n")

    assert ran.exit in {0, 7}, ran.err
    assert log.read_text() == "rest\n"
    assert outputs(server) == ["rested"]
    assert ran.summary["tool_calls"] == 1


def test_without_the_extra(tmp_path: Path) -> None:
    """One line that says what to install."""
    file = tmp_path / "mcp.json"
    file.write_text('{"mcpServers": {}}')
    code = "import sys; sys.modules['mcp'] = None; from rt_cli.__main__ import main; sys.exit(main())"

    done = subprocess.run(
        [sys.executable, "-c", code, "talk", "--mcp", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("rt: --mcp needs the package mcp, which is not installed: pip install 'rt-cli[mcp]'\n")


@needs_mcp
def test_without_the_option_nothing_of_it_is_loaded() -> None:
    """Not even by a conversation."""
    code = (
        "import sys\n"
        "import rt_cli.commands.talk, rt_cli.talk.run_talk\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'mcp', 'mcp_types', 'anyio', 'pydantic'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "[]\n"
