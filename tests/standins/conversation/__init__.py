"""Agents that converse as providers do: one file each, on :mod:`tests.standins.conversation.agent`."""
