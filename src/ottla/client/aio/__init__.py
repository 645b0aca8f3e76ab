"""The asyncio clients, on the caller's event loop."""
