"""An MCP server, made with the official package: ``mcp_server.py [http PORT_FILE] [BEHAVIOUR]``.

A program of its own, which rt starts. Each call is noted in the file that ``MCP_LOG`` names.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

server = MCPServer("demo")


def noted(call: str) -> None:
    """Note a call for the test."""
    if "MCP_LOG" in os.environ:
        with Path(os.environ["MCP_LOG"]).open("a") as file:
            file.write(f"{call}\n")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def add(a: int, b: int) -> str:
    """Add two numbers."""
    noted(f"add {a} {b}")
    return f"the sum is {a + b}"


@server.tool(name="files.remove")
def remove(path: str) -> str:
    """Remove a file."""
    noted(f"remove {path}")
    return f"removed {path}"


@server.tool()
def environment() -> list[str]:
    """Names of the variables."""
    return sorted(os.environ)


@server.tool()
def fail() -> str:
    """Fail."""
    raise ToolError("no such \x1b[31mcity")


@server.tool(structured_output=False)
def picture() -> Image:
    """An image, and nothing else."""
    return Image(data=b"not really", format="png")


@server.tool(structured_output=False)
def captioned() -> list[Any]:
    """A text and an image."""
    return ["a cat", Image(data=b"not really", format="png")]


@server.tool()
def flood() -> str:
    """Too much."""
    return "x" * 200_000


@server.tool()
def huge() -> str:
    """A message that nobody should read."""
    noted("huge")
    return "x" * 20_000_000


@server.tool()
async def slow() -> str:
    """Hang."""
    noted("slow")
    await anyio.sleep(60)
    return "late"


@server.tool()
async def rest() -> str:
    """Take a second."""
    noted("rest")
    await anyio.sleep(1)
    return "rested"


@server.tool()
def die() -> str:
    """End in the middle of the call."""
    noted("die")
    print("out of \x1b[31mmemory", file=sys.stderr, flush=True)
    os._exit(3)


async def serve_http(port_file: Path, port: int) -> None:
    """Serve on a port, 0 for a free one, and write it to a file."""
    config = uvicorn.Config(server.streamable_http_app(), host="127.0.0.1", port=port, log_level="error")
    http = uvicorn.Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(http.serve)
        while not http.started:  # noqa: ASYNC110 - it has no event for this
            await anyio.sleep(0.01)
        part = port_file.with_suffix(".part")
        part.write_text(str(http.servers[0].sockets[0].getsockname()[1]))
        part.rename(port_file)


def main() -> None:
    """Behave as asked for."""
    match sys.argv[1:]:
        case ["http", port_file]:
            path = Path(port_file)
            anyio.run(serve_http, path, int(path.read_text()) if path.exists() else 0)
        case ["stubborn", pid_file]:
            # Ignores the end of its input and SIGTERM, and has a child that does, too.
            import signal
            import subprocess

            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            child = subprocess.Popen(
                [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(120)"],
                stdin=subprocess.DEVNULL,
            )
            Path(pid_file).write_text(f"{os.getpid()} {child.pid}")
            server.run()
            time.sleep(120)
        case ["noisy"]:
            print("\x1b[31mWelcome!", flush=True)
            print("warning: \x1b[31mred", file=sys.stderr, flush=True)
            server.run()
        case _:
            server.run()


if __name__ == "__main__":
    main()
