"""``rt config``: the path of the config file, the effective values, an example file, an editor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rt_cli.cli import options
from rt_cli.cli.help import Command

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="This file [RT_CONFIG, else your own].")
]
Json = Annotated[bool, typer.Option("--json", help="NDJSON.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


def _complete_key(incomplete: str) -> list[str]:
    from rt_cli.config.values import settings_keys

    return [name for name in settings_keys() if name.startswith(incomplete)]


KeyName = Annotated[str, typer.Argument(metavar="KEY", help="As in the config file.", autocompletion=_complete_key)]

_HELP = """Say where the configuration is and what counts, or write one.

\b
Examples:
    rt config init             write the example to where it is found
    rt config show -p work     every value, and where it comes from
    rt config edit             open it in your editor
"""


def path(config: ConfigFile = None, json: Json = False) -> int:
    """Print which config file counts.

    That it is not there is said on stderr.

    Examples:
        $EDITOR "$(rt config path)"
    """
    from rt_cli.config.show import print_path

    return print_path(config, json=json)


@options.with_run_options
def show(json: Json = False, **values: Any) -> int:
    """Print every value and where it comes from.

    Takes all options of rt stream and rt send, and says what they would do. The lines are TOML; secrets are ***.

    Examples:
        rt config show -p work
        rt config show --json | jq -r 'select(.key=="url").origin'
    """
    from rt_cli.config.show import print_values

    return print_values(values, json=json)


def init(config: ConfigFile = None, force: Force = False) -> int:
    """Write the example: every key with its default.

    Prints where.

    Examples:
        rt config init
    """
    from rt_cli.config.show import write_example

    return write_example(config, force=force)


@options.with_run_options
def get(key: KeyName, **values: Any) -> int:
    """Print the value of one key, for scripts.

    Takes all options of rt stream and rt send. A key without a value is auto; secrets are ***.

    Examples:
        rt config get model
        rt config get url -p work
    """
    from rt_cli.config.show import print_value

    return print_value(key, values)


def edit(config: ConfigFile = None) -> int:
    """Open the config file in your editor.

    That is $VISUAL or $EDITOR. If the file is missing, it is the example at first.

    Examples:
        rt config edit
    """
    from rt_cli.config.edit import edit_config

    return edit_config(config)


app = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode=None, add_completion=False)
for command in (path, show, get, init, edit):
    app.command(cls=Command)(command)
