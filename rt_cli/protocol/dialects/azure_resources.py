"""What all protocols of Azure have in common: the keys of resources."""

from __future__ import annotations

KEY_HEADER = "api-key"
KEY_SHAPE = (r"[0-9a-fA-F]{32}|[0-9A-Za-z]{80,100}", "32 hexadecimal digits, or 84 letters and digits")
