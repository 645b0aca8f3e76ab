"""The asyncio client: native to the running loop, with no thread of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ottla.client.aio.admin import AdminClient as AdminClient
    from ottla.client.aio.consumer import Consumer as Consumer
    from ottla.client.aio.producer import Producer as Producer
    from ottla.client.aio.share_consumer import ShareConsumer as ShareConsumer

_MODULE_OF: dict[str, str] = {
    "AdminClient": "ottla.client.aio.admin",
    "Consumer": "ottla.client.aio.consumer",
    "Producer": "ottla.client.aio.producer",
    "ShareConsumer": "ottla.client.aio.share_consumer",
}

if not TYPE_CHECKING:
    __all__ = [*_MODULE_OF]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'ottla.aio' has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
