"""Bytecode for the programs we start: without it each of them compiles its modules anew."""

from __future__ import annotations

import os
import pathlib


def keep_bytecode(directory: pathlib.Path) -> None:
    """Where the environment forbids bytecode beside the sources, let our children keep theirs here.

    An installed program has its bytecode; one that is started from sources with
    ``PYTHONDONTWRITEBYTECODE`` takes twice as long.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        os.environ["PYTHONPYCACHEPREFIX"] = str(directory)
