"""What the compiler writes, kept where reviewers see it change.

After a change that is meant: ``OTTLA_REGENERATE_GOLDEN=1 pytest tests/unit/wire``; read the diff.
"""

from __future__ import annotations

import os
import pathlib

import pytest

from ottla.wire import compiler
from ottla.wire.apis import declaration

GOLDEN = pathlib.Path(__file__).parent / "golden"
# A request with records, a response with tagged structs, and a message before flexible versions.
KEPT = {
    "produce_request_v9": (0, 0, 9),
    "fetch_response_v16": (1, 1, 16),
    "metadata_response_v1": (3, 1, 1),
}


@pytest.mark.parametrize("name", KEPT)
def test_the_compiler_writes_what_was_reviewed(name: str) -> None:
    key, side, version = KEPT[name]
    source = compiler.dump(declaration(key)[side], version)
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("OTTLA_REGENERATE_GOLDEN"):
        path.write_text(source)
    assert source == path.read_text()
