"""The engine: the one part of the client that does IO, on an asyncio event loop."""
