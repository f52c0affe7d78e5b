"""``rt completion``: the script that a shell completes by."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rt_cli.cli.completion import one_of
from rt_cli.errors import UsageError, did_you_mean
from rt_cli.protocol.sanitize import printable

SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
Shell = Annotated[
    str, typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell.", autocompletion=one_of(*SHELLS[:4]))
]


def completion(shell: Shell) -> None:
    """Print the script by which a shell completes rt.

    rt --install-completion installs it for the shell that runs it.

    Examples:
        rt completion zsh > ~/.zfunc/_rt
        rt completion fish > ~/.config/fish/completions/rt.fish
        source <(rt completion bash)
    """
    from typer._completion_shared import get_completion_script

    from rt_cli.output.line_writer import write_texts

    name = shell.rpartition("/")[2].lower()  # as in $SHELL
    if name not in SHELLS:
        hint = did_you_mean(name, SHELLS) or f"there are {', '.join(SHELLS)}"
        raise UsageError(f"no completion for the shell {printable(shell)}", hint)
    script = get_completion_script(prog_name="rt", complete_var="_RT_COMPLETE", shell=name)
    write_texts(sys.stdout, [f"{script}\n"], "the script")
