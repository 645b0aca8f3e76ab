"""``Message`` as this process has it: the native one, or its twin."""

from __future__ import annotations

from ottla.client.backend import active

Message = active.Message

__all__ = ["Message"]
