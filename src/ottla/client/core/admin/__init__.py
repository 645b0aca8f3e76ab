"""The admin client's core: what each call asks whom, and what the answers say. No IO.

The modules are loaded when they are first used: together they know most of Kafka's messages, and a
program needs few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ottla.client.core.admin import acls as acls
    from ottla.client.core.admin import call as call
    from ottla.client.core.admin import clusters as clusters
    from ottla.client.core.admin import configs as configs
    from ottla.client.core.admin import group_members as group_members
    from ottla.client.core.admin import group_offsets as group_offsets
    from ottla.client.core.admin import groups as groups
    from ottla.client.core.admin import log_dirs as log_dirs
    from ottla.client.core.admin import offsets as offsets
    from ottla.client.core.admin import partitions as partitions
    from ottla.client.core.admin import quotas as quotas
    from ottla.client.core.admin import routes as routes
    from ottla.client.core.admin import scram as scram
    from ottla.client.core.admin import share_groups as share_groups
    from ottla.client.core.admin import streams_groups as streams_groups
    from ottla.client.core.admin import tokens as tokens
    from ottla.client.core.admin import topic_partitions as topic_partitions
    from ottla.client.core.admin import topics as topics
    from ottla.client.core.admin import transactions as transactions


def __getattr__(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
