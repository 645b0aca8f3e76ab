"""Two libraries side by side: what ours shows a user, confluent_kafka shows too."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import SimpleNamespace

import confluent_kafka
import confluent_kafka.admin
import pytest

OUR_MODULES = (
    "admin.acls", "admin.clusters", "admin.configs", "admin.groups", "admin.offsets",
    "admin.scram", "admin.topics", "enumerations", "errors", "values",
)  # fmt: skip


def our_names() -> SimpleNamespace:
    names: dict[str, object] = {}
    for module in OUR_MODULES:
        names.update(vars(importlib.import_module(f"ottla.client.{module}")))
    return SimpleNamespace(**names)


def their_names() -> SimpleNamespace:
    return SimpleNamespace(**(vars(confluent_kafka.admin) | vars(confluent_kafka)))


OURS, THEIRS = our_names(), their_names()
Action = Callable[[SimpleNamespace], object]


def observe(action: Action, library: SimpleNamespace) -> tuple[str, object]:
    """What a user sees of an action: its result, or the type of its exception."""
    try:
        return "returned", action(library)
    except Exception as error:
        return "raised", type(error)


@pytest.fixture
def same_in_both() -> Callable[[Action], None]:
    """Asserts that an action on a library's names has the same outcome in both libraries."""

    def check(action: Action) -> None:
        assert observe(action, OURS) == observe(action, THEIRS)

    return check
