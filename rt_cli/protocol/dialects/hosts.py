"""The hosts of providers, by dialect: whose a host is has to be known at every start, the dialects do not."""

from __future__ import annotations

# The hosts for data residency are subdomains of the main one.
_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
HOSTS: dict[str, tuple[str, ...]] = {
    "openai": ("api.openai.com", ".api.openai.com"),
    "azure": _AZURE,
    "azure-voicelive": (*_AZURE, ".api.cognitive.microsoft.com"),
    "xai": ("api.x.ai", ".api.x.ai"),
    "qwen": (
        *("dashscope.aliyuncs.com", ".dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"),
        ".maas.aliyuncs.com",
    ),
    "inworld": ("api.inworld.ai",),
}
"""A leading dot matches all subdomains. Of two dialects with one host the first is asked by its path."""


def is_among(host: str, hosts: tuple[str, ...]) -> bool:
    """Return whether a host (lower case) is one of these."""
    return any(host.endswith(name) if name.startswith(".") else host == name for name in hosts)
