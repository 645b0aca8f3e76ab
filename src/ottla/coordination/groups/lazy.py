"""The modules that act for kinds of groups, imported when the first such group is met."""

from __future__ import annotations

import importlib
from types import ModuleType

_modules: dict[str, ModuleType] = {}


def module_of(name: str) -> ModuleType:
    """The module that acts for a kind of groups, imported when it is first asked for."""
    module = _modules.get(name)
    if module is None:
        module = _modules[name] = importlib.import_module(name)
    return module
