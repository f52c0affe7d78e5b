"""The entry point: runs the command line, prints every error as one line, returns the exit code."""

from __future__ import annotations

import errno
import gc
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


def main() -> int:
    """Run ``rt`` with the arguments of this process."""
    return _written(_main())


def _written(exit_code: int) -> int:
    """Write what waits in the buffer of stdout; the interpreter would report a failure of that as a traceback."""
    if sys.stdout is None:
        return exit_code
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as exc:
        from rt_cli.output.line_writer import Sink

        sink = Sink(sys.stdout)
        gone = sink.lost_its_reader(exc)
        sink.discard()
        if exit_code == 0 and not gone and isinstance(exc, OSError):
            return _print_error(*_describe_os_error(exc))
    return exit_code


def _main() -> int:
    if sys.argv[1:] in (["--version"], ["-V"], ["version"]):
        return _version()
    gc.disable()  # a command enables it again when its event loop starts
    # numpy loads OpenBLAS, which starts one spinning thread per core by default; rt hardly uses it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if os.environ.get("RT_DEBUG"):
        sys.excepthook = _print_traceback
        return _run()
    from rt_cli.errors import EXIT_INTERRUPTED, RtError, unexpected

    try:
        return _run()
    except RtError as exc:
        return _print_error(str(exc), exc.exit_code)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except SystemExit as exc:
        if isinstance(exc.__context__, BrokenPipeError):  # Typer exits this way when the reader closed stdout
            return 0
        raise
    except OSError as exc:
        return _print_error(*_describe_os_error(exc))
    except Exception as exc:  # noqa: BLE001 - last resort: a bug is reported in one line, too
        return _print_error(str(unexpected(exc)), 1)


def _print_traceback(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback without the secrets of the run, which the message of any exception may hold."""
    from traceback import format_exception

    from rt_cli.masking import masked

    if sys.stderr is not None:
        print(masked("".join(format_exception(kind, exc, trace))), end="", file=sys.stderr)  # noqa: T201 - debugging


def _describe_os_error(exc: OSError) -> tuple[str, int]:
    """Return message and exit code for an OSError: a full disk or a missing permission is not a bug."""
    from rt_cli.errors import unexpected

    if exc.errno not in {errno.ENOSPC, errno.EACCES, errno.EROFS}:
        return str(unexpected(exc)), 1
    return f"cannot write {exc.filename or 'the output'}: {exc.strerror}: make room, or write elsewhere", 2


def _version() -> int:
    """Print the version without importing the parser."""
    from rt_cli.version import version_text

    try:
        print(version_text(), flush=True)  # noqa: T201 - the output of --version
    except BrokenPipeError:
        sys.stdout = None
    except OSError as exc:
        sys.stdout = None
        return _print_error(*_describe_os_error(exc))
    return 0


def _run() -> int:
    from typer.exceptions import TyperException

    from rt_cli.cli.app import app, meant

    if "_RT_COMPLETE" in os.environ:
        from rt_cli.cli.completion import keep_brackets

        keep_brackets()
        return app(prog_name="rt", standalone_mode=False) or 0
    # Not as an argument: only in sys.argv the parser expands wildcards, where the shells leave that to programs.
    sys.argv[1:] = arguments = meant(sys.argv[1:])
    try:
        return app(prog_name="rt", standalone_mode=False) or 0
    except TyperException as exc:
        if type(exc).__name__ == "NoArgsIsHelpError":
            print(exc.format_message())  # noqa: T201 - the help
            return 2
        from rt_cli.cli.explain import explain

        return _print_error(explain(exc, arguments), exc.exit_code)


def _print_error(text: str, exit_code: int) -> int:
    from rt_cli.protocol.sanitize import masked, printable

    if sys.stderr is None:  # closed before the start; print would write to stdout instead
        return exit_code
    try:
        print(f"rt: {masked(printable(text))}", file=sys.stderr)  # noqa: T201 - the error line
    except OSError:
        pass  # stderr is closed
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
