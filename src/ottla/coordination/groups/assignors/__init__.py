"""Server-side assignors: who of a consumer group shall own which partitions (KIP-848).

An assignor is a pure function ``assign(specification) -> Assignment``. It must give every partition
of every subscribed topic to exactly one of the topic's subscribers.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from ottla.coordination.groups.assignors.specification import Assignment, Specification

#: The names that ``group.consumer.assignors`` knows.
BUILT_IN = ("uniform", "range")


def find(name: str) -> Callable[[Specification], Assignment]:
    """The assignor of that name.

    Raises:
        KeyError: there is none.
    """
    if name not in BUILT_IN:
        raise KeyError(name)
    module = importlib.import_module(f"ottla.coordination.groups.assignors.{name}")
    assign: Callable[[Specification], Assignment] = module.assign
    return assign
