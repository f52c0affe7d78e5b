"""One stream of audio to one endpoint: the asyncio part."""
