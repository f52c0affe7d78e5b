"""A spoken conversation: replies, items, what was heard of them, barge-in, tool calls. Decisions only; no I/O."""
