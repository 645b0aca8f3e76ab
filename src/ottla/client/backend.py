"""The one switch between the client's native data path and its pure-Python twin.

Modules of the room call ``backend.active.<name>`` at run time, so that a test can run the same code
on either twin.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

__all__ = ["NAME", "ReceiveMemory", "active", "give_way_to_engines"]

if TYPE_CHECKING or os.environ.get("OTTLA_PURE_PYTHON") == "1":
    from ottla.client import _reference as active
else:
    try:
        from ottla.client import _native as active
    except ImportError as error:
        import logging

        from ottla.client import _reference as active

        logging.getLogger("ottla").warning(
            "the native accelerator can't be used (%s): the client works, but far slower", error
        )

if active.NAME == "native":
    from ottla.client._native_io import ReceiveMemory as ReceiveMemory
    from ottla.client._native_io import give_way_to_engines as give_way_to_engines
else:
    from ottla.client._reference_memory import ReceiveMemory as ReceiveMemory

    def give_way_to_engines() -> None:
        """Let engines that wait for the GIL have it; what runs in Python alone can't tell."""


NAME: str = active.NAME
"""``"native"`` or ``"python"``: what this process runs on."""
