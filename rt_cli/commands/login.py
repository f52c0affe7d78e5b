"""``rt login`` and ``rt logout``: store a key in the keyring of the system, and remove it."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rt_cli.cli.completion import profiles
from rt_cli.errors import UsageError
from rt_cli.masking import SHORTEST_KEY

if TYPE_CHECKING:
    from rt_cli.protocol.endpoint.url import Address

Url = Annotated[str | None, typer.Option("--url", metavar="URL", help="The endpoint that the key is for.")]
Profile = Annotated[
    str | None,
    typer.Option("--profile", "-p", metavar="NAME", help="The profile that it is for.", autocompletion=profiles),
]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Config file.")]

_OPENAI = "https://api.openai.com"


def login(url: Url = None, profile: Profile = None, config: Config = None) -> int:
    """Store a key in the keyring of the system.

    The key is asked for, or read from stdin, never from the command line. It is for the URL, else for the profile,
    else for the URL of the config file, else for OpenAI; and it goes nowhere else.

    Examples:
        rt login
        pass show azure | rt login --profile work
    """
    from rt_cli.doctor.key_shape import key_finding
    from rt_cli.keys import keyring as keyrings

    address, account = _address_and_account(url, profile, config)
    keyrings.module()  # fails before the prompt if no keyring library is installed
    key = _check_key(_prompt_for_key(account) if sys.stdin is not None and sys.stdin.isatty() else _read_stdin())
    finding = key_finding("this", key, address.host)
    keyring = keyrings.store(account, key)
    if finding.status != "ok":
        _print_line(f"warning: {finding.detail}")
    usage = f"-p {profile}" if profile else f"--url https://{account.rpartition('@')[2]}"
    _print_line(f"the key for {account} is stored ({keyring}); it is used with {usage}")
    return 0


def logout(url: Url = None, profile: Profile = None, config: Config = None) -> int:
    """Remove a key from the keyring of the system.

    Examples:
        rt logout
        rt logout --profile work
    """
    from rt_cli.keys import keyring as keyrings

    _, account = _address_and_account(url, profile, config)
    if not keyrings.remove(account):
        raise UsageError(f"no key for {account} is stored", "name its --url or --profile", code="missing_key")
    _print_line(f"the key for {account} is removed")
    return 0


def _address_and_account(url: str | None, profile: str | None, config: Path | None) -> tuple[Address, str]:
    """Return the address that the key is for, and the account name in the keyring."""
    from rt_cli.config.layers import load_settings
    from rt_cli.keys.keyring import accounts_of
    from rt_cli.protocol.endpoint.url import parse_address

    if url is not None and profile is not None:
        raise UsageError("both --url and --profile", "give one of them")
    endpoint = load_settings({"url": url}, config=config, profile=profile, environ=os.environ).endpoint
    if profile is not None and endpoint.profile is None:
        raise UsageError(f"the profile {profile} has no URL", "write one into it, or give --url", code="config")
    address = parse_address(endpoint.url or _OPENAI, endpoint.dialect)
    if address.scheme != "wss":
        raise UsageError(f"no stored key goes to {address.host} unencrypted", "use https:// or wss://, or RT_API_KEY")
    return address, accounts_of(address, endpoint.profile)[0]


def _prompt_for_key(account: str) -> str:
    from getpass import GetPassWarning, getpass

    with warnings.catch_warnings():
        # getpass() only warns when it cannot turn off the echo; the key would be visible.
        warnings.simplefilter("error", GetPassWarning)
        try:
            return getpass(f"Key for {account} (it is not shown): ", sys.stderr)
        except (GetPassWarning, EOFError):
            raise UsageError("the key cannot be asked for here", "give it on stdin: rt login < FILE") from None


def _read_stdin() -> str:
    from rt_cli.config.secret_file import read_secret

    return "" if sys.stdin is None else read_secret(sys.stdin.buffer, "key", "stdin")


def _check_key(text: str) -> str:
    from rt_cli.protocol.endpoint.key_source import clean_key

    key = clean_key(text, "stdin")
    if " " in key or len(key) < SHORTEST_KEY:
        raise UsageError("what was given is no key", "it must be the key and nothing else, on one line")
    return key


def _print_line(text: str) -> None:
    print(f"rt: {text}", file=sys.stderr)  # noqa: T201 - stdout is for results
