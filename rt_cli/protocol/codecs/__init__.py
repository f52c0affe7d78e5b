"""Codecs of providers whose messages are not OpenAI's: one file each, imported when a session is made."""
