"""``--mcp``: which files are servers, which tools of a server are offered, what its results are for the model."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.talk.mcp.server_file import McpServer, read_servers
from rt_cli.talk.tools.run_tool import MAX_OUTPUT_BYTES, ToolResult
from rt_cli.talk.tools.tool import CallRefused

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the programs are those of POSIX")


def read(folder: Path, text: str | bytes, **environ: str) -> tuple[McpServer, ...]:
    """Read a file of this text."""
    path = folder / "mcp.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_servers([path], {"PATH": os.environ["PATH"], **environ})


def test_a_file_of_other_programs(tmp_path: Path) -> None:
    """With their settings, a byte order mark, a server that is disabled; in the order of the file."""
    servers = {
        "files": {"command": "sh", "args": ["-c", "true"], "env": {"A": "b"}, "type": "stdio", "autoApprove": ["x"]},
        "off": {"command": "no-such-program", "disabled": True},
        "web": {"url": "https://example.com/mcp", "type": "http", "headers": {"Authorization": "Bearer ${T}"}},
    }
    text = "\ufeff" + json.dumps({"globalShortcut": "Ctrl+Space", "mcpServers": servers})

    files, web = read(tmp_path, text, T="abc")

    assert (files.name, files.command, files.env, files.url) == ("files", ("sh", "-c", "true"), {"A": "b"}, None)
    assert (web.url, web.headers) == ("https://example.com/mcp", {"Authorization": "Bearer abc"})
    assert (files.tools, files.confirm, files.timeout_s) == (None, "never", None)


def test_variables(tmp_path: Path) -> None:
    """In each text that goes to the server; nothing else is filled in."""
    entry = {"command": "${SHELL_NAME}", "args": ["${A}/x", "$A", "${B:-c}"], "env": {"V": "${A}${A}"}, "cwd": "${D}"}

    (server,) = read(tmp_path, json.dumps({"mcpServers": {"a": entry}}), SHELL_NAME="sh", A="1", D=str(tmp_path))

    assert server.command == ("sh", "1/x", "$A", "c")
    assert (server.env, server.cwd) == ({"V": "11"}, str(tmp_path))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "truncated"),
        ("[]", "object"),
        ("{}", "mcpServers"),
        ('{"servers": {}}', "mcpServers"),
        ('{"mcpServers": []}', "object"),
        (b"\xff\xfe{", "mcp.json"),
        ("[" * 100_000, "mcp.json"),
        ("x" * 2_000_000, "larger than 1 MiB"),
    ],
)
def test_files_of_another_shape(tmp_path: Path, text: str | bytes, problem: str) -> None:
    """The message names the file, and says what is wrong."""
    with pytest.raises(UsageError, match=problem) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("x", "object"),
        ({}, "neither a command nor a url"),
        ({"command": "sh", "url": "https://h"}, "both a command and a url"),
        ({"command": ["sh"]}, "command"),
        ({"command": ""}, "no program ''"),
        ({"command": "no-such-program-here"}, "no program 'no-such-program-here'"),
        ({"command": "/etc/passwd"}, "no program"),
        ({"command": "sh", "args": [1]}, "args"),
        ({"command": "sh", "args": ["a\0b"]}, "NUL"),
        ({"command": "sh", "env": {"A": 1}}, "env"),
        ({"command": "sh", "env": {"A=B": "c"}}, "variable"),
        ({"command": "sh", "env": {"A": "${NOT_SET}"}}, "asks for NOT_SET, which is not set"),
        ({"command": "sh", "env": {"A": "${OPENAI_API_KEY}"}}, "a key of rt's own"),
        ({"command": "sh", "cwd": "/no/such/folder"}, "no folder"),
        ({"command": "sh", "headers": {"a": "b"}}, "no url"),
        ({"command": "sh", "type": "http"}, "is of type 'http'"),
        ({"command": "sh", "timeout": 0}, "timeout of 0"),
        ({"command": "sh", "timeout": 30000}, "timeout of 30000"),
        ({"command": "sh", "start_timeout": -1}, "timeout of -1"),
        ({"command": "sh", "prefix": "a b"}, "prefix"),
        ({"command": "sh", "confirm": "maybe"}, "maybe"),
        ({"command": "sh", "includeTools": ["a"]}, "the fields are command"),
        ({"url": "ws://h"}, "url that is none"),
        ({"url": "https://"}, "url that is none"),
        ({"url": "https://h:port"}, "url that is none"),
        ({"url": "https://h/\n"}, "url that is none"),
        ({"url": "https://h", "type": "sse"}, "streamable HTTP"),
        ({"url": "https://h", "args": ["a"]}, "leave one out"),
        ({"url": "https://h", "headers": {"a": "b\nc"}}, "no header"),
        ({"url": "https://h", "headers": {"a b": "c"}}, "no header"),
        ({"url": "http://example.com", "headers": {"a": "b"}}, "unencrypted"),
    ],
)
def test_servers_that_are_none(tmp_path: Path, entry: object, problem: str) -> None:
    """Before anything is started: one line with the name of the server."""
    with pytest.raises(UsageError, match=problem) as caught:
        read(tmp_path, json.dumps({"mcpServers": {"a\x1b": entry}}), OPENAI_API_KEY="sk-1")
    assert "server 'a'" in str(caught.value)
    assert str(caught.value).isprintable()


def test_two_servers_of_one_name(tmp_path: Path) -> None:
    """In two files."""
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text('{"mcpServers": {"x": {"url": "http://localhost:1/mcp"}}}')

    with pytest.raises(UsageError, match="two MCP servers are named x"):
        read_servers([tmp_path / "a.json", tmp_path / "b.json"], {})
    with pytest.raises(UsageError, match="No such file"):
        read_servers([tmp_path / "c.json"], {})


FIELDS = (
    "command",
    "args",
    "env",
    "url",
    "headers",
    "type",
    "tools",
    "prefix",
    "timeout",
    "cwd",
    "disabled",
    "confirm",
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from(["sh", "https://h", "${A}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), st.dictionaries(st.sampled_from(FIELDS), VALUES)))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, servers: dict[str, Any]) -> None:
    """Nothing but our error."""
    try:
        read(tmp_path_factory.getbasetemp(), json.dumps({"mcpServers": servers}))
    except UsageError:
        pass


def tools_of(*schemas: dict[str, Any], name: str = "t", server: McpServer | None = None, **about: Any) -> list[Any]:
    """The tools of a server that lists these schemas."""
    pytest.importorskip("mcp", reason="the extra mcp is not installed")
    from mcp_types import Tool, ToolAnnotations

    from rt_cli.talk.mcp.mcp_tool import make_tools

    class Nobody:
        async def call(self, name: str, arguments: dict[str, Any], timeout_s: float) -> ToolResult:
            raise NotImplementedError

    hints = ToolAnnotations(**about) if about else None
    listed = [Tool(name=name, input_schema=schema, annotations=hints) for schema in schemas]
    return make_tools(server or McpServer("s", ("sh",)), listed, Nobody())


SCHEMA = {
    "type": "object",
    "properties": {"at": {"$ref": "#/$defs/place"}, "n": {"oneOf": [{"type": "integer"}, {"const": "all"}]}},
    "$defs": {"place": {"type": "array", "prefixItems": [{"type": "number"}], "uniqueItems": True}},
}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('{"at": [1], "n": "all"}', None),
        ("", None),
        ('{"at": ["x"]}', r"\$\.at\[0\]: 'x' is not of type 'number'"),
        ('{"at": [1, 1]}', "non-unique"),
        ('{"n": "none"}', "not valid under any"),
        ("null", "not of type 'object'"),
        ("[" * 60_000, "not JSON"),
        ("x" * 70_000, "longer than 65536"),
    ],
)
def test_calls_against_any_json_schema(arguments: str, problem: str | None) -> None:
    """Also by references, and keywords that ``--tools`` has not."""
    (tool,) = tools_of(SCHEMA)
    if problem is None:
        assert list(tool.check(arguments).shown) == ["t", arguments or "{}"]
    else:
        with pytest.raises(CallRefused, match=problem):
            tool.check(arguments)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "array"}, "no object"),
        ({}, "no object"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "'text' is not valid"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, "is not a 'regex'"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}}, "refer to what is not in them"),
        ({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/x"}}}, "refer to what is not in them"),
    ],
)
def test_schemas_that_cannot_be_checked(schema: dict[str, Any], problem: str) -> None:
    """Refused at the start; nothing is looked up in the network."""
    with pytest.raises(UsageError, match=problem) as caught:
        tools_of(schema)
    assert 'name the tools to offer in "tools" of s' in str(caught.value)


@pytest.mark.parametrize(
    ("name", "prefix", "declared"),
    [
        ("files.read/all", "", "files_read_all"),
        ("read", "my-", "my-read"),
        ("x" * 65, "", None),
        ("x" * 60, "prefix", None),
        ("", "", None),
    ],
)
def test_names_that_endpoints_take(name: str, prefix: str, declared: str | None) -> None:
    """Letters, digits, _ and -, at most 64."""
    server = McpServer("s", ("sh",), prefix=prefix)
    if declared is None:
        with pytest.raises(UsageError, match="has a name that no endpoint takes"):
            tools_of({"type": "object"}, name=name, server=server)
    else:
        (tool,) = tools_of({"type": "object"}, name=name, server=server)
        assert tool.declaration == {"type": "function", "name": declared, "parameters": {"type": "object"}}


@pytest.mark.parametrize(
    ("confirm", "about", "asked"),
    [
        ("never", {}, False),
        ("always", {"read_only_hint": True}, True),
        ("destructive", {}, True),
        ("destructive", {"read_only_hint": True}, False),
        ("destructive", {"destructive_hint": False}, False),
        ("destructive", {"destructive_hint": True}, True),
    ],
)
def test_which_calls_are_confirmed(confirm: Any, about: dict[str, bool], *, asked: bool) -> None:
    """What is not said to be harmless is destructive."""
    (tool,) = tools_of({"type": "object"}, server=McpServer("s", ("sh",), confirm=confirm), **about)

    assert tool.check("{}").confirm is asked


def test_results_for_the_model() -> None:
    """Text as it is; a note for the rest; at most 32 KiB, and no broken character."""
    pytest.importorskip("mcp", reason="the extra mcp is not installed")
    from mcp_types import (
        AudioContent,
        BlobResourceContents,
        CallToolResult,
        EmbeddedResource,
        TextContent,
        TextResourceContents,
    )

    from rt_cli.talk.mcp.result import tool_result

    text = TextContent(text="a")
    resource = EmbeddedResource(resource=TextResourceContents(uri="file:///b", text="b"))
    blob = EmbeddedResource(resource=BlobResourceContents(uri="file:///c", blob="AA=="))
    sound = AudioContent(data="AA==", mime_type="audio/wav")

    assert tool_result(CallToolResult(content=[text, resource])) == ToolResult(0, "a\nb")
    assert tool_result(CallToolResult(content=[])) == ToolResult(0, "")
    assert tool_result(CallToolResult(content=[], structured_content={"a": "\u00f6"})).output == '{"a": "\u00f6"}'
    mixed = tool_result(CallToolResult(content=[text, sound, blob])).output
    assert mixed == "a\n[audio of type audio/wav, left out]\n[resource of type unknown, left out]"
    failed = tool_result(CallToolResult(content=[text], is_error=True))
    assert (failed.exit_code, json.loads(failed.output)) == (1, {"error": "it failed: a"})
    assert tool_result(CallToolResult(content=[sound])).exit_code == 1
    long = tool_result(CallToolResult(content=[TextContent(text="x" + "\u20ac" * 20_000)])).output
    assert MAX_OUTPUT_BYTES - 3 < len(long.encode()) <= MAX_OUTPUT_BYTES
    assert set(long[1:]) == {"\u20ac"}


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_the_guard_ends_what_is_left() -> None:
    """Also what ignores SIGTERM; what has ended is left alone."""
    import subprocess
    from pathlib import Path

    from rt_cli.talk.mcp import guard

    main = str(Path(guard.__file__).with_name("guard_main.py"))
    ignoring = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    programs = [
        subprocess.Popen([sys.executable, "-c", ignoring], stdout=subprocess.PIPE, start_new_session=True)
        for _ in range(2)
    ]
    watched, left_alone = programs
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
    lines = f"+{left_alone.pid}\n+{watched.pid}\n-{left_alone.pid}\n"

    subprocess.run([sys.executable, "-I", "-S", main], input=lines.encode(), check=True, timeout=30)

    try:
        assert watched.wait(10) == -9
        assert left_alone.poll() is None
    finally:
        for program in programs:
            program.kill()
            program.communicate(timeout=10)
