"""The URL of ``OPENAI_API_KEY``: OpenAI's, or that of ``OPENAI_BASE_URL``, as for OpenAI's own clients. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.endpoint.url import parse_address

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE_VARIABLE = "OPENAI_BASE_URL"
OPENAI_URL = "https://api.openai.com"


def openai_base(environ: Mapping[str, str]) -> str | None:
    """Return the URL of ``OPENAI_BASE_URL``; None if it is not set.

    Raises:
        UsageError: It is no URL.
    """
    url = environ.get(BASE_VARIABLE, "").strip()
    if not url:
        return None
    try:
        parse_address(url)
    except UsageError as error:
        raise UsageError(f"{BASE_VARIABLE}: {error.message}", error.hint) from None
    return url
