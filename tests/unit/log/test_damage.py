"""Any file of a log damaged in any way: typed errors or right records, never wrong ones."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ottla.log.errors import LogError
from ottla.records.batch import iter_complete_headers
from ottla.records.decode import decode_records
from ottla.records.errors import RecordsError

COUNT = 14


def damage(under_test: Any, pick: random.Random) -> str:
    """Flip, cut, fill with zeros, or lengthen one file; returns its name."""
    name: str = pick.choice(under_test.disk.list_directory(under_test.path("")[:-1]))
    file = under_test.disk.open(under_test.path(name))
    size_bytes = file.size_bytes()
    position = pick.randrange(size_bytes + 1)
    way = pick.choice(("flip", "cut", "zeros", "noise", "lengthen"))
    if way == "cut":
        file.truncate(position)
    elif way == "lengthen":
        file.write([pick.choice((b"\0", b"\xff", b"7")) * pick.randrange(1, 300)], size_bytes)
    else:
        length = min(size_bytes - position, 1 if way == "flip" else pick.randrange(1, 200))
        file.write([bytes(length) if way == "zeros" else pick.randbytes(length)], position)
    return name


def readable(log: Any) -> dict[int, bytes | None]:
    """Every record that can be read, from any offset; consumers check the CRC as we do here."""
    found = {}
    for offset in range(log.log_start_offset, log.log_end_offset):
        try:
            data = log.read(offset, 1000).read()
            for position, _ in iter_complete_headers(data):
                for record in decode_records(data, position):
                    found[record.offset] = record.value
        except (LogError, RecordsError):
            continue
    return found


@pytest.mark.parametrize("was_clean", [True, False])
@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_log_opens_and_serves_no_wrong_record(
    under_test: Any, seed: int, was_clean: bool
) -> None:
    pick = random.Random(seed)
    under_test.fill(COUNT)
    under_test.log.close()
    written = readable(under_test.reopen(was_clean=True))
    assert len(written) == COUNT
    name = damage(under_test, pick)
    log = under_test.reopen(was_clean=was_clean)
    found = readable(log)
    # A batch's base offset is outside its checksum, so only what the records say is certain.
    assert set(found.values()) <= set(written.values())
    if not name.endswith((".log", "index")):
        assert found == written
    if not was_clean:
        # All was checked from the start: what is left is the beginning, in its order.
        values = [found[offset] for offset in sorted(found)]
        assert values == list(written.values())[: len(values)]
        assert len(found) == log.log_end_offset or name.endswith(".log")
    under_test.append(under_test.batch(b"next"))
    for wanted_ms in (0, 1007, 5000):
        try:
            log.offset_for_timestamp(wanted_ms)
        except RecordsError:
            assert was_clean
