"""The entry point: from arguments to an exit code, and every error to one line."""

from __future__ import annotations

import errno
import gc
import os
import sys

from rt_cli import __version__


def main() -> int:
    """Run ``rt`` with the arguments of this process."""
    if sys.argv[1:] == ["--version"]:
        return _version()
    gc.disable()  # until a command's event loop begins
    # OpenBLAS, which numpy brings and we hardly use, would start a thread for each core, and each would spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if os.environ.get("RT_DEBUG"):
        return _run()
    from rt_cli.errors import EXIT_INTERRUPTED, RtError, unexpected

    try:
        return _run()
    except RtError as exc:
        return _complain(str(exc), exc.exit_code)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except SystemExit as exc:
        if isinstance(exc.__context__, BrokenPipeError):  # Typer's word for a reader that has gone
            return 0
        raise
    except OSError as exc:
        return _complain(*_trouble(exc))
    except Exception as exc:  # noqa: BLE001 - the last line of defence: a bug is one line, too
        return _complain(str(unexpected(exc)), 1)


def _trouble(exc: OSError) -> tuple[str, int]:
    """A full disk or a folder of somebody else is no bug: what to say of it, and the exit code."""
    from rt_cli.errors import unexpected

    if exc.errno not in {errno.ENOSPC, errno.EACCES, errno.EROFS}:
        return str(unexpected(exc)), 1
    return f"cannot write {exc.filename or 'the output'}: {exc.strerror}: make room, or write elsewhere", 2


def _version() -> int:
    """Before anything is imported."""
    try:
        print(f"rt {__version__}", flush=True)  # noqa: T201 - what was asked for
    except BrokenPipeError:
        sys.stdout = None
    except OSError as exc:
        sys.stdout = None
        return _complain(*_trouble(exc))
    return 0


def _run() -> int:
    from typer.exceptions import TyperException

    from rt_cli.cli.app import app

    try:
        return app(prog_name="rt", standalone_mode=False) or 0
    except TyperException as exc:
        if type(exc).__name__ == "NoArgsIsHelpError":
            print(exc.format_message())  # noqa: T201 - the help
            return 2
        said = exc.format_message().removesuffix(".")
        context = getattr(exc, "ctx", None)
        asked = context.command_path if context else "rt"
        return _complain(said if said.endswith("?") else f"{said}: see {asked} --help", exc.exit_code)


def _complain(text: str, exit_code: int) -> int:
    from rt_cli.protocol.sanitize import printable

    if sys.stderr is None:  # closed before the start; print would take stdout in its place
        return exit_code
    try:
        print(f"rt: {printable(text)}", file=sys.stderr)  # noqa: T201 - the one line
    except OSError:
        pass  # nobody is there to read it
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
