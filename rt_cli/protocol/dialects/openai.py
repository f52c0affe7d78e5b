"""OpenAI, and every compatible server."""

from __future__ import annotations

from rt_cli.protocol.dialects.dialect import Dialect

OPENAI = Dialect(
    name="openai",
    # The hosts for data residency are subdomains of the main one.
    hosts=("api.openai.com", ".api.openai.com"),
    base_path="/v1",
    key_variable="OPENAI_API_KEY",
)
