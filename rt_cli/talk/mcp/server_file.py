"""``--mcp``: a JSON file to the servers that it names. Nothing is started here."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import msgspec

from rt_cli.errors import UsageError
from rt_cli.protocol.endpoint.url import is_loopback
from rt_cli.protocol.sanitize import printable
from rt_cli.talk.tools.run_tool import OWN_SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_LARGEST_FILE = 1024 * 1024
_LONGEST_TIMEOUT_S = 3600
START_TIMEOUT_S = 30.0
_EXAMPLE = 'write {"mcpServers": {"files": {"command": "npx", "args": ["..."]}}}'
_KNOWN = "command, args, env, cwd, url, headers, type, tools, prefix, timeout, start_timeout, confirm, disabled"
_PREFIX = re.compile(r"[A-Za-z0-9_-]{0,32}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HTTP_TYPES = {"http", "streamable-http", "streamableHttp"}

ConfirmCalls = Literal["never", "always", "destructive"]


class _Declared(msgspec.Struct, forbid_unknown_fields=True):
    """A server as the file has it."""

    command: str | None = None
    args: list[str] = []
    env: dict[str, str] = {}
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    type: str | None = None
    tools: list[str] | None = None
    prefix: str = ""
    timeout: float | None = None
    start_timeout: float = START_TIMEOUT_S
    confirm: ConfirmCalls = "never"
    disabled: bool = False
    # What other programs let run without asking; here ``confirm`` says it.
    alwaysAllow: list[str] = []  # noqa: N815 - a field of the file
    autoApprove: list[str] | bool = []  # noqa: N815 - a field of the file
    description: str | None = None


class _File(msgspec.Struct):
    """The other fields of the file are settings of other programs."""

    mcpServers: dict[str, msgspec.Raw]  # noqa: N815 - a field of the file


@dataclass(frozen=True, slots=True)
class McpServer:
    """A server: a program, or a URL."""

    name: str
    command: tuple[str, ...] = ()
    """Program and arguments; empty for a URL."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    url: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tools: tuple[str, ...] | None = None
    """The tools to offer; None for all."""
    prefix: str = ""
    """Before the names of its tools."""
    timeout_s: float | None = None
    """Longest call, seconds; None for the usual one."""
    start_timeout_s: float = START_TIMEOUT_S
    confirm: ConfirmCalls = "never"

    @property
    def label(self) -> str:
        """Its name for messages."""
        return f"the MCP server {printable(self.name)[:64]}"


def read_servers(paths: Iterable[Path], environ: Mapping[str, str]) -> tuple[McpServer, ...]:
    """Read the files of ``--mcp``.

    Args:
        paths: The files.
        environ: Variables that ``${NAME}`` stands for.

    Raises:
        UsageError: A file cannot be read or is of another shape, a program is not there, or two servers have one name.
    """
    servers = [server for path in paths for server in _read(path, environ)]
    names = [server.name for server in servers]
    for server in servers:
        if names.count(server.name) > 1:
            raise UsageError(f"two MCP servers are named {printable(server.name)}", "give them different names")
    return tuple(servers)


def _read(path: Path, environ: Mapping[str, str]) -> list[McpServer]:
    option = f"--mcp {path}"
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as exc:
        raise UsageError(f"{option}: {exc.strerror}") from exc
    if len(content) > _LARGEST_FILE:
        raise UsageError(f"{option} is larger than 1 MiB")
    try:
        declared = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"), type=_File).mcpServers
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as exc:
        raise UsageError(f"{option}: {exc}", _EXAMPLE) from None
    servers = [_server(name, raw, f"{option}: server {printable(name)!r}", environ) for name, raw in declared.items()]
    return [server for server in servers if server is not None]


def _server(name: str, raw: msgspec.Raw, where: str, environ: Mapping[str, str]) -> McpServer | None:
    """Return a server; None if it is disabled."""
    try:
        declared = msgspec.json.decode(raw, type=_Declared)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as exc:
        hint = f"the fields are {_KNOWN}" if "unknown field" in str(exc) else "see rt help talk"
        raise UsageError(f"{where}: {printable(str(exc))}", hint) from None
    if declared.disabled:
        return None
    _check(declared, where)

    def filled(text: str) -> str:
        return _filled(text, where, environ)

    common: dict[str, Any] = {
        "tools": None if declared.tools is None or "*" in declared.tools else tuple(declared.tools),
        "prefix": declared.prefix,
        "timeout_s": declared.timeout,
        "start_timeout_s": declared.start_timeout,
        "confirm": declared.confirm,
    }
    if declared.url is not None:
        headers = {header: filled(value) for header, value in declared.headers.items()}
        url = filled(declared.url)
        _check_url(url, headers, where)
        return McpServer(name, url=url, headers=headers, **common)
    env = {variable: filled(value) for variable, value in declared.env.items()}
    command = (filled(declared.command or ""), *(filled(argument) for argument in declared.args))
    cwd = None if declared.cwd is None else filled(declared.cwd)
    _check_command(command, env, cwd, where, environ)
    return McpServer(name, command, env=env, cwd=cwd, **common)


def _check(declared: _Declared, where: str) -> None:
    """Check what does not depend on the machine."""
    has_program, has_url = declared.command is not None, declared.url is not None
    if has_program == has_url:
        both = "has both a command and a url" if has_url else "has neither a command nor a url"
        raise UsageError(f"{where} {both}", "give it one of them")
    kinds = {"stdio"} if has_program else _HTTP_TYPES
    if declared.type is not None and declared.type not in kinds:
        hint = "rt speaks stdio with a command, and streamable HTTP with a url"
        raise UsageError(f"{where} is of type {printable(declared.type)!r}", hint)
    if has_url and (declared.args or declared.env or declared.cwd):
        raise UsageError(f"{where} has a url, and args, env or cwd of a command", "leave one out")
    if has_program and declared.headers:
        raise UsageError(f"{where} has headers, but no url", "leave them out")
    for seconds in (declared.timeout, declared.start_timeout):
        if seconds is not None and not 0 < seconds <= _LONGEST_TIMEOUT_S:
            raise UsageError(f"{where} has a timeout of {seconds:g}", "seconds, more than 0, at most 3600")
    if not _PREFIX.fullmatch(declared.prefix):
        raise UsageError(f"{where} has a prefix that names cannot have", "use letters, digits, _ and -, at most 32")


def _check_url(url: str, headers: Mapping[str, str], where: str) -> None:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise UsageError(f"{where} has a url that is none", "write it like https://HOST/mcp")
    if parts.scheme == "http" and (headers or parts.username) and not is_loopback(host):
        raise UsageError(f"{where} would send its headers to {host} over an unencrypted connection", "use https://")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not value.isascii() or not value.isprintable():
            raise UsageError(f"{where}: {printable(name)!r} is no header that can be sent", "use printable ASCII")


def _check_command(
    command: tuple[str, ...], env: Mapping[str, str], cwd: str | None, where: str, environ: Mapping[str, str]
) -> None:
    if any("\0" in text for text in (*command, *env, *env.values(), cwd or "")):
        raise UsageError(f"{where} holds a NUL", "leave it out")
    if any("=" in name or not name for name in env):
        raise UsageError(f"{where} has a variable without a name, or with = in it", "leave it out")
    from pathlib import Path

    if cwd is not None and not Path(cwd).is_dir():
        raise UsageError(f"{where}: there is no folder {printable(cwd)}", "name one that is there")
    program = command[0]
    inside = program if cwd is None or "/" not in program else str(Path(cwd) / program)
    if not program or shutil.which(inside, path=env.get("PATH") or environ.get("PATH")) is None:
        raise UsageError(f"{where}: there is no program {printable(program)!r}", "install it, or write its whole path")


def _filled(text: str, where: str, environ: Mapping[str, str]) -> str:
    """Return a text with ``${NAME}`` and ``${NAME:-other}`` filled in; never with a key of ours."""

    def value(found: re.Match[str]) -> str:
        name, other = found[1], found[2]
        if name in OWN_SECRETS:
            raise UsageError(f"{where} asks for {name}, which is a key of rt's own", "write the server's own key")
        if name not in environ and other is None:
            raise UsageError(f"{where} asks for {name}, which is not set", f"set it, or write ${{{name}:-}}")
        return environ.get(name) or other or ""

    return _VARIABLE.sub(value, text)
