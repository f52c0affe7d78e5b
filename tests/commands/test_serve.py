"""``rt serve`` as a program of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rt_cli.cli.serve_options import FAULTS, HELP
from rt_cli.commands.serve import serve
from rt_cli.errors import UsageError
from rt_cli.server.faults.grammar import KINDS
from rt_cli.server.recognition.registry import FORMS
from rt_cli.server.replies.registry import REPLIES
from tests.fakes import run
from tests.program import rt
from tests.server.client import recording, session, silence
from tests.servers import CERTIFICATE

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
import typer
from rt_cli.commands.serve import serve
app = typer.Typer(add_completion=False)
app.command()(serve)
app()
"""


@contextmanager
def serving(*options: str, files: int | None = None, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A running ``rt serve`` on a free port."""
    command = [sys.executable, "-c", PROGRAM, "--port", "0", "--recognizer", "none", *options]
    pipe = subprocess.PIPE
    if files is not None:
        command = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *command]
    env = {**os.environ, **environ}
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line, which the server prints when it is ready."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def one_session(url: str) -> None:
    """Open a session, send a second of silence, and disconnect."""
    async with session(url) as client:
        await client.append(silence(1))
        await client.barrier()


def test_first_line_is_the_url() -> None:
    """The URL in the first line works."""
    with serving() as process:
        url = first_line(process)

        assert re.fullmatch(r"ws://127\.0\.0\.1:\d+/v1/realtime", url)
        run(one_session(url))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it: exit 0, within a second, one line on stderr."""
    with serving() as process:
        first_line(process)
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)

    assert process.returncode == 0
    assert time.monotonic() - began < 2  # the interpreter's own end included
    assert re.fullmatch(r"warning: [^\n]+\n", errors)


def test_json(tmp_path: Path) -> None:
    """With ``--json`` every line is an object: the URL first, then sessions; ``--save-audio`` writes the audio."""
    with serving("--json", "--save-audio", str(tmp_path)) as process:
        ready: dict[str, Any] = json.loads(first_line(process))
        run(one_session(ready["url"]))
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in process.communicate(timeout=10)[0].splitlines()]

    assert ready["type"] == "listening"
    assert ready["recognizer"] == "none"
    assert [line["type"] for line in lines] == ["session_opened", "session_closed"]
    assert lines[-1]["received_samples"] == 24_000
    assert [path.name for path in tmp_path.iterdir()] == [f"{lines[0]['session']}.wav"]


def test_closed_stdout() -> None:
    """After stdout is closed, it ends without an error."""

    async def until_it_ends(url: str, process: subprocess.Popen[str]) -> None:
        while process.poll() is None:
            try:
                await one_session(url)
            except (OSError, ConnectionClosed):  # it is about to end
                await asyncio.to_thread(process.wait)

    with serving("--json") as process:
        url = json.loads(first_line(process))["url"]
        assert process.stdout is not None
        process.stdout.close()
        run(until_it_ends(url, process))
        assert process.stderr is not None
        errors = process.stderr.read()

    assert process.returncode == 0
    assert errors.count("\n") == 1


def test_off_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other hosts are not served without a token; an empty token counts as none."""
    monkeypatch.setenv("RT_SERVE_TOKEN", " ")
    with pytest.raises(UsageError, match="loopback") as refused:
        serve(host="0.0.0.0", port=0, recognizer="none")
    assert refused.value.exit_code == 2
    assert "RT_SERVE_TOKEN" in (refused.value.hint or "")


@pytest.mark.parametrize("how", ["variable", "file"])
def test_a_token(how: str, tmp_path: Path) -> None:
    """With a token other hosts are served; a wrong token is refused, and a warning says that there is no TLS."""
    (tmp_path / "token").write_text("\ufefftoken-of-the-file\n")
    options = ["--token-file", str(tmp_path / "token")] if how == "file" else []

    async def knock(url: str) -> dict[str, Any]:
        async with session(url, additional_headers={"api-key": f"token-of-the-{how}"}) as client:
            await client.barrier()
        async with connect(url, additional_headers={"api-key": "token-of-nobody"}) as socket:
            event: dict[str, Any] = json.loads(await socket.recv())
            return event

    with serving("--host", "0.0.0.0", "--json", *options, RT_SERVE_TOKEN="token-of-the-variable") as process:
        url = json.loads(first_line(process))["url"]
        refused = run(knock(url.replace("0.0.0.0", "127.0.0.1")))
        process.send_signal(signal.SIGTERM)
        lines, errors = process.communicate(timeout=10)

    assert refused["error"]["code"] == "invalid_api_key"
    seen = [json.loads(line) for line in lines.splitlines()]
    assert {"type": "refused", "status": 3000, "code": "invalid_api_key"} in seen
    assert "in the clear" in errors
    assert "token-of" not in lines + errors


def test_wss() -> None:
    """With a certificate the first line is a working wss URL, without that warning."""

    async def knock(url: str) -> None:
        trusting = ssl.create_default_context(cafile=CERTIFICATE)
        async with session(url, ssl=trusting, additional_headers={"api-key": "token-of-the-tests"}) as client:
            await client.barrier()

    options = ("--certfile", str(CERTIFICATE), "--host", "0.0.0.0")
    with serving(*options, RT_SERVE_TOKEN="token-of-the-tests") as process:
        url = first_line(process)
        run(knock(url.replace("0.0.0.0", "localhost")))
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)

    assert url.startswith("wss://0.0.0.0:")
    assert "in the clear" not in errors


def test_replies() -> None:
    """The reply has the text of ``--reply-text``."""

    async def answer(url: str) -> Any:
        async with session(url, "?model=any") as client:
            await client.send("session.update", session={"type": "realtime", "output_modalities": ["text"]})
            await client.until("session.updated")
            await client.send("response.create")
            return (await client.until("response.output_text.done"))["text"]

    with serving("--reply", "text", "--reply-text", "Good day.") as process:
        assert run(answer(first_line(process))) == "Good day."


def test_max_sessions() -> None:
    """A session beyond ``--max-sessions`` is closed with 1013."""

    async def scenario(url: str) -> int | None:
        async with session(url), connect(url) as extra:
            with pytest.raises(ConnectionClosed) as closed:
                await extra.recv()
            return closed.value.rcvd.code if closed.value.rcvd else None

    with serving("--max-sessions", "1") as process:
        assert run(scenario(first_line(process))) == 1013


def test_max_session() -> None:
    """After ``--max-session`` the session gets an error and close code 1001."""

    async def scenario(url: str) -> tuple[list[Any], int | None]:
        async with session(url) as client:
            with pytest.raises(ConnectionClosed):
                await client.until("never")
            return [event.get("error", {}).get("code") for event in client.seen], client.socket.close_code

    with serving("--max-session", "1s") as process:
        assert run(scenario(first_line(process))) == ([None, "session_expired"], 1001)


def test_faults() -> None:
    """The faults of ``--fault`` happen, and ``--json`` reports them."""

    async def refused(url: str) -> int:
        with pytest.raises(InvalidStatus) as status:
            await connect(url)
        await one_session(url)
        return status.value.response.status_code

    with serving("--json", "--fault", "status=503x1", "--fault", "seed=7") as process:
        assert run(refused(json.loads(first_line(process))["url"])) == 503
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in process.communicate(timeout=10)[0].splitlines()]
    assert [line["fault"] for line in lines if line["type"] == "fault"] == ["status=503x1"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"keyfile": CERTIFICATE}, "--certfile", id="a key alone"),
        pytest.param({"certfile": Path("/nowhere.pem")}, "cannot read", id="no certificate"),
        pytest.param({"token_file": Path("/nowhere")}, "cannot read the token file", id="no token file"),
        pytest.param({"token_file": CERTIFICATE}, "token file", id="more than a token"),
        pytest.param({"token_file": Path("\0")}, "no path", id="no path"),
        pytest.param({"max_session": "soon"}, "--max-session must be a number", id="no time"),
        pytest.param({"max_session": "0"}, "--max-session must be a number", id="no time at all"),
        pytest.param({"max_session": "auto"}, "--max-session must be a number", id="no time of its own"),
        pytest.param({"recognizer_model": "large"}, "takes no model", id="a model for nobody"),
        pytest.param({"recognizer": "parrot"}, "unknown recogniser", id="recogniser"),
        pytest.param({"fault": ["explode@3s"]}, "explode", id="fault"),
        pytest.param({"reply": "echo", "llm": "http://localhost"}, "echo", id="who says what"),
    ],
)
def test_bad_options(options: dict[str, Any], said: str) -> None:
    """Each is one line and exit 2, before anything is served."""
    with pytest.raises(UsageError) as refused:
        serve(**{"port": 0, "recognizer": "none", **options})
    assert said in f"{refused.value.message} {refused.value.hint}"
    assert refused.value.exit_code == 2


def test_help_has_every_line() -> None:
    """Every ``--json`` line of a conversation is in the help, with its fields."""

    async def conversation(url: str) -> None:
        async with session(url, "?model=any") as client:
            await client.converse(input={"transcription": {"model": "any"}, "turn_detection": {"type": "server_vad"}})
            await client.append(recording("sense_0930") + silence(1.5))
            await client.until("response.done")
            async with connect(url) as extra:
                await extra.wait_closed()

    with serving("--json", "--max-sessions", "1", "--fault", "dup=committed") as process:
        run(conversation(json.loads(ready := first_line(process))["url"]))
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in (ready, *process.communicate(timeout=10)[0].splitlines())]

    told = {line["type"]: set(line) - {"type"} for line in lines}
    kinds = {"listening", "session_opened", "turn", "transcript", "response", "fault", "refused", "session_closed"}
    assert kinds <= set(told)
    for kind, fields in told.items():
        said = re.search(rf"^  {kind} +(.+)$", HELP, re.MULTILINE)
        assert said is not None, kind
        assert set(re.findall(r"(?:^|, )(\w+)", re.sub(r" \(.*?\)", "", said[1]))) == fields, kind


def test_help_names_every_recogniser_and_reply() -> None:
    """The tables are what the help shows, the choice of the default included."""
    helped = " ".join(rt("serve", "--help", env={"COLUMNS": "80"}).out.split())

    assert f"--recognizer SPEC {' '.join(form[: form.find(':') + 1] or form for form in FORMS)} " in helped
    assert "--reply HOW none text echo voice counted [echo]." in helped
    assert list(REPLIES) == ["none", "text", "echo", "voice", "counted"]


def test_replies_at_real_time() -> None:
    """``--reply-speed 1``: half a second of known samples takes as long to arrive, in pieces of 20 ms."""

    async def scenario(url: str) -> tuple[int, float]:
        async with session(url, "") as client:
            await client.converse()
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            began = time.monotonic()
            await client.until("response.done")
            return len(client.of("response.output_audio.delta")), time.monotonic() - began

    with serving("--reply", "counted", "--reply-speed", "1", "--reply-text", "Hi there") as process:
        pieces, seconds = run(scenario(first_line(process)))

    assert pieces == 24
    assert seconds >= 0.45


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "", "nan"])
def test_no_speed(speed: str) -> None:
    """What is no speed is a usage error that says what is one."""
    with pytest.raises(UsageError, match=r"--reply-speed must be a number of at least 0\.1, or max"):
        serve(port=0, recognizer="none", reply_speed=speed)


def test_help_has_every_fault() -> None:
    """Every fault has a line in the help."""
    assert [name for name in KINDS if not re.search(rf"^  {name}\b", FAULTS, re.MULTILINE)] == []


def test_faults_are_explained_on_request() -> None:
    """The help of the faults goes to stdout, with exit 0."""
    ran = rt("serve", "--fault", "help")

    assert (ran.exit, ran.out, ran.err) == (0, FAULTS, "")


def test_port_in_use() -> None:
    """A used port is a usage error with a fix."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="--port 0"):
        serve(port=taken.getsockname()[1], recognizer="none")


def test_directory_not_writable(tmp_path: Path) -> None:
    """An unwritable folder for recordings is an error at the start."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write to"):
        serve(port=0, recognizer="none", save_audio=tmp_path / "file")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_out_of_files() -> None:
    """Without free file descriptors it prints one line, and serves later clients."""

    async def connect_many(url: str) -> None:
        port = int(url.rsplit(":", 1)[1].split("/", maxsplit=1)[0])
        connect_many = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        for _, writer in connect_many:
            writer.close()
        await one_session(url)

    with serving(files=60) as process:
        run(connect_many(first_line(process)))
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    assert errors.count("\n") <= 3
    assert "Traceback" not in errors
    assert "out of system resource" in errors
