"""Every test of the room runs on both twins of the accelerator."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Iterator

import pytest

from ottla.records import backend
from ottla.records.crc import crc32c

BatchMaker = Callable[..., bytes]


@pytest.fixture(scope="module", autouse=True, params=["_native", "_reference"])
def twin(request: pytest.FixtureRequest) -> Iterator[str]:
    """The twin in use, by module name."""
    try:
        module = importlib.import_module(f"ottla.records.{request.param}")
    except ImportError:
        pytest.skip("the native accelerator isn't built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "active", module)
        yield request.param


@pytest.fixture(scope="session")
def make_batch() -> BatchMaker:
    """Make a batch with a right CRC around any payload, truthful or not."""

    def make(
        payload: bytes,
        record_count: int,
        *,
        attributes: int = 0,
        last_offset_delta: int | None = None,
        base_timestamp_ms: int = 0,
    ) -> bytes:
        if last_offset_delta is None:
            last_offset_delta = record_count - 1
        after_crc = struct.pack(
            ">hiqqqhii",
            attributes,
            last_offset_delta,
            base_timestamp_ms,
            0,
            -1,
            -1,
            -1,
            record_count,
        )
        crc = crc32c(after_crc + payload)
        return struct.pack(">qiibI", 0, 49 + len(payload), -1, 2, crc) + after_crc + payload

    return make
