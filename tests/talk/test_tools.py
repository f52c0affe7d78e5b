"""Tools: what may be declared, which calls are refused, what a program gets and what it may give."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.masking import protect
from rt_cli.protocol.conversation.actions import RunTool
from rt_cli.talk.tools.declare import declare, parse_tool, read_tools
from rt_cli.talk.tools.run_tool import MAX_OUTPUT_BYTES, ToolResult, clean_environment, run_tool
from rt_cli.talk.tools.schema import SchemaError, check_schema, check_value
from rt_cli.talk.tools.tool import CallRefused, Tool
from rt_cli.talk.tools.tool_set import ToolSet

if TYPE_CHECKING:
    from rt_cli.conversation_events import ToolCalled


def run(code: str, *arguments: str, timeout_s: float = 10, given: dict[str, Any] | None = None) -> ToolResult:
    """Run Python code as a tool."""
    return asyncio.run(run_tool([sys.executable, "-c", code, *arguments], given or {}, timeout_s))


def test_the_names_in_braces_are_the_parameters() -> None:
    """All of them texts, all of them needed."""
    tool = parse_tool("weather=./weather.sh --city={city} '{day}'")

    assert tool.command == ("./weather.sh", "--city={city}", "{day}")
    assert tool.declaration == {
        "type": "function",
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "day": {"type": "string"}},
            "required": ["city", "day"],
            "additionalProperties": False,
        },
    }


def test_no_shell_reads_a_value() -> None:
    """What a shell would take apart stays one argument."""
    tool = parse_tool("say=echo {words}")
    words = "; rm -rf / $(id) `id` 'a\" | b"

    assert tool.argv(tool.arguments(json.dumps({"words": words}))) == ["echo", words]


@pytest.mark.parametrize(
    ("command", "value", "argv"),
    [
        pytest.param("ls {name}", "-la", None, id="an option"),
        pytest.param("ls {name}", "--help", None, id="a long option"),
        pytest.param("ls {name}x", "-l", None, id="the beginning of a word"),
        pytest.param("ls -- {name}", "-la", ["ls", "--", "-la"], id="behind --"),
        pytest.param("ls --name={name}", "-la", ["ls", "--name=-la"], id="inside a word"),
        pytest.param("ls {name}", "a-b", ["ls", "a-b"], id="no option"),
        pytest.param("ls {name}", "", ["ls", ""], id="nothing"),
        pytest.param("ls {name}", "a\0b", None, id="a NUL"),
        pytest.param("ls {name} {name}", "a b", ["ls", "a b", "a b"], id="twice"),
    ],
)
def test_a_value_is_no_option(command: str, value: str, argv: list[str] | None) -> None:
    """Unless the place says that none is read there."""
    tool = parse_tool(f"t={command}")
    if argv is None:
        with pytest.raises(CallRefused):
            tool.argv({"name": value})
    else:
        assert tool.argv({"name": value}) == argv


@given(st.text())
def test_no_value_begins_an_option(value: str) -> None:
    """Whatever the model sends."""
    tool = parse_tool("t=program {value} --set={value} -- {value}")
    try:
        argv = tool.argv({"value": value})
    except CallRefused:
        assert value.startswith("-") or "\0" in value
    else:
        assert not argv[1].startswith("-")
        assert argv[1:] == [value, f"--set={value}", "--", value]


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "[]",
        "{",
        "null",
        '{"city": 1}',
        "{}",
        '{"city": "Ulm", "more": 1}',
        "[" * 100_000,
        '{"city":"' + "x" * 70_000,
    ],
    ids=["nothing", "list", "broken", "null", "number", "missing", "more", "deep", "long"],
)
def test_arguments_against_the_schema_are_refused(arguments: str) -> None:
    """Before anything runs."""
    with pytest.raises(CallRefused):
        parse_tool("weather=./weather.sh {city}").arguments(arguments)


@pytest.mark.parametrize(
    "text",
    ["weather", "=true", "a b=true", "a=", "a='", "a={x}"],
    ids=["no =", "no name", "bad name", "no command", "quote", "any program"],
)
def test_bad_declarations(text: str) -> None:
    """One line each."""
    with pytest.raises(UsageError):
        parse_tool(text)


def test_a_file_of_tools(tmp_path: Path) -> None:
    """With schema, description, timeout and confirmation."""
    declared = {
        "name": "light",
        "description": "Switch a light.",
        "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}, "room": {"enum": ["a", "b"]}}},
        "command": ["echo", "{room}", "{on}"],
        "timeout": 2,
        "confirm": "always",
    }
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([declared]))

    (tool,) = declare((), [path])

    assert (tool.timeout_s, tool.confirm, tool.description) == (2, "always", "Switch a light.")
    assert tool.argv(tool.arguments('{"on": true, "room": "a"}')) == ["echo", "a", "true"]
    with pytest.raises(CallRefused, match="none of the values"):
        tool.arguments('{"room": "c"}')


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{}", "array"),
        ('[{"name": "a"}]', "command"),
        ('[{"name": "a", "command": ["b"], "shell": true}]', "shell"),
        ('[{"name": "a", "command": []}]', "no command"),
        ('[{"name": "a", "command": ["b", "{c}"]}]', "no parameter c"),
        ('[{"name": "a", "command": ["b"], "parameters": {"type": "array"}}]', "no object"),
        ('[{"name": "a", "command": ["b"], "parameters": {"type": "object", "allOf": []}}]', "not checked by rt"),
        ('[{"name": "a", "command": ["b"], "confirm": "maybe"}]', "maybe"),
        ('[{"name": "a", "command": ["b"], "timeout": 0}]', "not positive"),
    ],
)
def test_bad_files(tmp_path: Path, content: str, problem: str) -> None:
    """The message says what is wrong."""
    path = tmp_path / "tools.json"
    path.write_text(content)

    with pytest.raises(UsageError, match=problem):
        read_tools(path)


SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": 1, "maximum": 9},
        "t": {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^a"},
        "l": {"type": "array", "items": {"type": ["number", "null"]}, "minItems": 1, "maxItems": 2},
        "e": {"anyOf": [{"const": 1}, {"type": "string"}]},
        "x": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    },
    "additionalProperties": {"type": "boolean"},
}


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ({"n": 1, "t": "ab", "l": [1.5, None], "e": 1, "x": 0.5, "more": True}, True),
        ({"n": True}, False),
        ({"n": 0}, False),
        ({"n": 10}, False),
        ({"n": 1.5}, False),
        ({"t": ""}, False),
        ({"t": "abcd"}, False),
        ({"t": "b"}, False),
        ({"l": []}, False),
        ({"l": [1, 2, 3]}, False),
        ({"l": ["a"]}, False),
        ({"e": 2}, False),
        ({"e": "a"}, True),
        ({"x": 0}, False),
        ({"x": 1}, False),
        ({"more": 1}, False),
        ([], False),
    ],
)
def test_values_against_a_schema(value: object, *, valid: bool) -> None:
    """Each keyword."""
    check_schema(SCHEMA)
    if valid:
        check_value(SCHEMA, value, "value")
    else:
        with pytest.raises(SchemaError):
            check_value(SCHEMA, value, "value")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["type", "properties", "items", "enum", "anyOf", "required", "minimum", "pattern"]), inner),
    max_leaves=20,
)  # fmt: skip


@given(JSON, JSON)
def test_any_schema_is_valid_or_refused(schema: Any, value: Any) -> None:
    """Nothing but our error; a valid schema checks any value."""
    try:
        check_schema(schema)
        check_value(schema, value, "value")
    except SchemaError:
        pass


def test_the_output_is_stdout() -> None:
    """Arguments are on stdin and in the environment."""
    code = "import os, sys; print(sys.stdin.read(), os.environ['RT_TOOL_ARGUMENTS'], sys.argv[1:])"

    result = run(code, "a b", given={"city": "K\u00f6ln"})

    assert result == ToolResult(0, '{"city": "K\u00f6ln"} {"city": "K\u00f6ln"} [\'a b\']\n')


def test_a_failed_program_is_an_error() -> None:
    """With its exit code and what it wrote."""
    result = run("import sys; print('no such city'); sys.exit(3)")

    assert result.exit_code == 3
    assert json.loads(result.output) == {"error": "it failed with exit code 3: no such city"}


def test_what_a_failed_program_complains_of_is_for_the_user() -> None:
    """The last line of its stderr; the model does not get it."""
    result = run("import sys; sys.stderr.write('x' * 1_000_000 + '\\nno key in /home/me\\n\\n'); sys.exit(3)")

    assert result.problem == "it failed with exit code 3: no key in /home/me"
    assert json.loads(result.output) == {"error": "it failed with exit code 3"}


@pytest.mark.skipif(os.name != "posix", reason="a shell")
def test_a_program_that_leaves_another_one_behind() -> None:
    """What holds its stderr open is not waited for."""
    began = time.monotonic()

    result = asyncio.run(run_tool(["sh", "-c", "sleep 20 > /dev/null & echo done"], {}, 15))

    assert result == ToolResult(0, "done\n")
    assert time.monotonic() - began < 10


def test_a_program_that_is_none() -> None:
    """Says so."""
    result = asyncio.run(run_tool(["/does/not/exist"], {}, 1))

    assert result.exit_code is None
    assert "cannot be run" in json.loads(result.output)["error"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for a process in /proc")
def test_a_slow_program_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """After its timeout."""
    mark = tmp_path / "pid"
    code = (
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path(sys.argv[1]).write_text(str(child.pid))\n"
        "time.sleep(60)"
    )
    began = time.monotonic()

    result = run(code, str(mark), timeout_s=2)

    assert time.monotonic() - began < 10
    assert "longer than 2 s" in json.loads(result.output)["error"]
    stat = Path(f"/proc/{mark.read_text()}/stat")
    assert not stat.exists() or ") Z" in stat.read_text()


def test_the_output_is_bounded() -> None:
    """A flood is cut, and does not block the program."""
    result = run("print('x' * 10_000_000)")

    assert len(result.output) == MAX_OUTPUT_BYTES
    assert result.exit_code == 0


def test_a_program_that_reads_nothing() -> None:
    """Large arguments do not block."""
    result = run("print('done')", given={"a": "x" * 60_000})

    assert result.output == "done\n"


def test_no_key_is_in_its_environment() -> None:
    """By the name of the variable, or by its value."""
    protect(["a-secret-key-of-this-run"])
    environ = {
        "PATH": "/bin",
        "OPENAI_API_KEY": "other",
        "AZURE_OPENAI_API_KEY": "other",
        "RT_API_KEY": "other",
        "RT_SERVE_TOKEN": "other",
        "MY_OWN": "a-secret-key-of-this-run",
    }

    assert clean_environment(environ, "{}") == {"PATH": "/bin", "RT_TOOL_ARGUMENTS": "{}"}


def called(tools: tuple[Tool, ...], call: RunTool) -> tuple[str, ToolCalled]:
    """Run a call of a set."""

    async def scenario() -> tuple[str, ToolCalled]:
        results: asyncio.Queue[tuple[str, ToolCalled]] = asyncio.Queue()
        tool_set = ToolSet(tools, 5)
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            tool_set.begin(group, lambda _call, output, event: results.put_nowait((output, event)))
            tool_set.start(call)
            return await results.get()

    return asyncio.run(scenario())


def test_a_call_is_reported() -> None:
    """With name, arguments, exit code and time."""
    output, event = called((parse_tool("say=echo {words}"),), RunTool("c", "say", '{"words":"hi"}'))

    assert (output, event.name, event.arguments, event.exit) == ("hi\n", "say", '{"words":"hi"}', 0)
    assert event.ms >= 0


@pytest.mark.parametrize("name", ["other", "../say"])
def test_only_what_is_named_runs(name: str) -> None:
    """Anything else is an error for the model."""
    output, event = called((parse_tool("say=echo {words}"),), RunTool("c", name, '{"words":"hi"}'))

    assert (json.loads(output), event.exit) == ({"error": "there is no such tool"}, None)


def test_a_name_that_is_a_key_is_masked() -> None:
    """Whatever the endpoint repeats."""
    protect(["another-secret-key-of-this-run"])

    _, event = called((), RunTool("c", "another-secret-key-of-this-run", "{}"))

    assert "another-secret" not in event.name


@pytest.mark.skipif(os.name != "posix", reason="sessions are POSIX")
def test_what_is_to_be_confirmed_is_refused_without_a_terminal() -> None:
    """Nobody could say yes."""
    code = (
        "import asyncio\n"
        "from rt_cli.talk.tools.confirm import Confirmer\n"
        "print(asyncio.run(Confirmer().confirmed(['true'], 1)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, start_new_session=True, timeout=20
    )

    assert done.stdout.strip() == "None"


@pytest.mark.skipif(os.name != "posix", reason="pseudo terminals are POSIX")
@pytest.mark.parametrize(("key", "answer"), [(b"y\n", "True"), (b"n\n", "False"), (b"\n", "False")])
def test_a_question_at_the_terminal(key: bytes, answer: str) -> None:
    """It shows the command as a shell would take it; only y runs it."""
    import pty

    code = (
        "import asyncio\n"
        "from rt_cli.talk.tools.confirm import Confirmer\n"
        "print(asyncio.run(Confirmer().confirmed(['ls', 'a b'], 9)))"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])  # noqa: S606 - the program under test
    said = b""
    while b"[y/N]" not in said:
        said += os.read(terminal, 1000)
    assert b"ls 'a b'" in said
    os.write(terminal, key)
    said = b""
    try:
        while piece := os.read(terminal, 1000):
            said += piece
    except OSError:
        pass  # the terminal has ended
    os.waitpid(pid, 0)
    os.close(terminal)
    assert answer.encode() in said
