"""``rt serve``: run the embedded endpoint on its own."""

from __future__ import annotations

import json as jsonlib
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rt_cli.cli import serve_options as options
from rt_cli.cli.process import allow_many_files, printing_until_ended, run_loop, warn, warn_once
from rt_cli.config.values import number_option
from rt_cli.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rt_cli.run.interrupts import Interrupts
    from rt_cli.server.access.limits import Limits
    from rt_cli.server.server import LocalServer


@dataclass(frozen=True, slots=True)
class _ServeArguments:
    """Arguments of the parts that ``rt serve`` starts."""

    server: Mapping[str, Any]
    """Keyword arguments of :func:`rt_cli.server.server.serve`."""
    reply: Mapping[str, Any]
    """Keyword arguments of :func:`rt_cli.server.replies.registry.open_replier`."""
    json: bool


def serve(
    host: options.Host = "127.0.0.1",
    port: options.Port = 8765,
    token_file: options.TokenFile = None,
    certfile: options.CertFile = None,
    keyfile: options.KeyFile = None,
    recognizer: options.Engine = "auto",
    recognizer_model: options.EngineModel = None,
    workers: options.Workers = None,
    reply: options.Reply = "echo",
    reply_text: options.ReplyText = None,
    llm: options.Llm = None,
    llm_model: options.LlmModel = None,
    reply_speed: options.ReplySpeed = "max",
    max_sessions: options.MaxSessions = 8,
    max_session: options.MaxSession = "60m",
    fault: options.Faults = None,
    save_audio: options.SaveAudio = None,
    json: options.Json = False,
) -> int:
    """Run the embedded endpoint until a signal. The help text is ``serve_options.HELP``."""
    if "help" in (fault or ()):
        print(options.FAULTS, end="")  # noqa: T201 - a question, answered like --help
        return EXIT_OK
    from rt_cli.server.access.tls import server_context
    from rt_cli.server.faults.grammar import parse

    if keyfile is not None and certfile is None:
        raise UsageError("--keyfile is the key of a certificate", "give --certfile with it")
    server = {
        "host": host,
        "port": port,
        "recognizer": recognizer,
        "recognizer_model": recognizer_model,
        "workers": workers,
        "save_audio": save_audio,
        "token": options.serving_token(token_file, os.environ),
        "tls": None if certfile is None else server_context(certfile, keyfile),
        "limits": _limits(max_sessions, max_session),
        "faults": parse(fault or ()),
    }
    replier = {
        "name": reply,
        "reply_text": reply_text,
        "llm": llm,
        "llm_model": llm_model,
        "speed": number_option("--reply-speed", reply_speed, low=0.1, unit="", unlimited=True),
    }
    return run_loop(partial(_serve, _ServeArguments(server, replier, json)))


serve.__doc__ = options.HELP


def _limits(max_sessions: int, max_session: str) -> Limits:
    from rt_cli.server.access.limits import Limits

    longest = number_option("--max-session", max_session, low=1)
    # All sessions may start at the same time.
    return Limits(sessions=max_sessions, session_s=longest, handshakes=max(Limits().handshakes, max_sessions))


async def _serve(arguments: _ServeArguments, interrupts: Interrupts) -> int:
    import asyncio

    from rt_cli.server.replies.registry import open_replier
    from rt_cli.server.server import serve as serve_locally

    asyncio.get_running_loop().set_exception_handler(warn_once())
    allow_many_files()

    with printing_until_ended(interrupts) as (lines, ended):

        def on_event(event: dict[str, Any]) -> None:
            if arguments.json:
                lines.write(jsonlib.dumps(event))
            elif event["type"] == "warning":
                warn(event["message"])

        async with AsyncExitStack() as stack:
            replier = await stack.enter_async_context(open_replier(**arguments.reply))
            server = await stack.enter_async_context(
                serve_locally(**arguments.server, replier=replier, on_event=on_event)
            )
            listening = {"type": "listening", "url": server.url, "recognizer": server.recognizer}
            lines.write(jsonlib.dumps(listening) if arguments.json else server.url)
            for notice in _notices(server, replier.notice if replier else None, arguments.server):
                warn(notice)
            await ended.wait()
    return EXIT_OK


def _notices(server: LocalServer, reply: str | None, arguments: Mapping[str, Any]) -> list[str]:
    from rt_cli.protocol.endpoint.url import is_loopback

    unencrypted = arguments["tls"] is None and not is_loopback(arguments["host"])
    advice = "audio and token cross the network in the clear: give --certfile, or put a proxy with TLS in front"
    return [line for line in (server.notice, reply, advice if unencrypted else None) if line]
