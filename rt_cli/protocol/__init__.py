"""The realtime protocol: messages, dialects, endpoints, session state. Pure: no I/O."""
