"""OpenAI's realtime protocol, which compatible servers speak, too: its messages, session object and models. No I/O."""
