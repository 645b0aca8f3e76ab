"""Aborted transactions: their index on disk, and what readers are told of them."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from ottla.log.producers import AppendOrigin
from ottla.log.transactions import AbortedTransaction
from ottla.records.batch import read_header
from ottla.records.control import ControlType, encode_end_transaction_batch
from ottla.testing.simulation.disk import SimulatedDisk

FIRST_INDEX = f"{0:020d}.txnindex"


def write(under_test: Any, producer_id: int, sequence: int = 0, size_bytes: int = 10) -> int:
    buffer = under_test.batch(
        b"v" * size_bytes,
        producer_id=producer_id,
        producer_epoch=0,
        base_sequence=sequence,
        is_transactional=True,
    )
    guard = under_test.log.producers.verifications.begin(
        producer_id, 0, sequence, bumps_epochs=False, now_ms=0
    )
    batches = [(0, read_header(buffer))]
    appended = under_test.log.append(buffer, batches, leader_epoch=0, now_ms=0, guard=guard)
    return int(appended.first_offset)


def end(under_test: Any, producer_id: int, *, is_commit: bool = False) -> None:
    marker = encode_end_transaction_batch(
        ControlType.COMMIT if is_commit else ControlType.ABORT,
        producer_id=producer_id,
        producer_epoch=0,
        coordinator_epoch=0,
        timestamp_ms=0,
    )
    under_test.append(bytearray(marker), origin=AppendOrigin.COORDINATOR)


def aborted_in(under_test: Any, offset: int, max_bytes: int = 10**6) -> list[AbortedTransaction]:
    log = under_test.log
    with log.read(offset, max_bytes) as found:
        aborted: list[AbortedTransaction] = log.aborted_transactions(found, log.log_end_offset)
    return aborted


def test_the_index_is_kafkas_and_made_with_the_first_abort(under_test: Any) -> None:
    write(under_test, 41)
    write(under_test, 42)
    end(under_test, 42, is_commit=True)
    assert under_test.names(".txnindex") == []
    write(under_test, 43)
    end(under_test, 43)
    content = under_test.disk.read_file(under_test.path(FIRST_INDEX))
    # Version, producer id, first and last offset; 41's transaction is open since offset 0.
    assert content == struct.pack(">hqqqq", 0, 43, 3, 4, 0)
    end(under_test, 41)
    content = under_test.disk.read_file(under_test.path(FIRST_INDEX))
    assert content[34:] == struct.pack(">hqqqq", 0, 41, 0, 5, 6)


def test_an_abort_of_nothing_is_no_entry(under_test: Any) -> None:
    end(under_test, 41)
    assert under_test.names(".txnindex") == []


def test_a_reader_is_told_of_aborts_whose_marker_lies_in_a_later_segment(under_test: Any) -> None:
    """reliability.md: fetch returns the aborted list from .txnindex."""
    write(under_test, 41)
    under_test.log.roll(now_ms=0)
    under_test.fill(3)
    under_test.log.roll(now_ms=0)
    end(under_test, 41)
    assert under_test.names(".txnindex") == [f"{4:020d}.txnindex"]
    assert aborted_in(under_test, 0) == [AbortedTransaction(41, 0, 4, 5)]
    # Whoever reads on from in between may have to skip more of its records.
    assert aborted_in(under_test, 2) == [AbortedTransaction(41, 0, 4, 5)]


def test_what_lies_beyond_the_slice_is_not_told(under_test: Any) -> None:
    under_test.config = under_test.log.config = under_test.config._replace(segment_bytes=10**6)
    for number in range(200):
        write(under_test, 41, sequence=number, size_bytes=200)
        end(under_test, 41)
    assert len(aborted_in(under_test, 0)) == 200
    few = aborted_in(under_test, 0, max_bytes=2000)
    assert few[0] == AbortedTransaction(41, 0, 1, 2)
    assert len(few) < 15
    later = aborted_in(under_test, 300, max_bytes=2000)
    assert later[0] == AbortedTransaction(41, 300, 301, 302)


@pytest.mark.parametrize("was_clean", [True, False])
def test_a_restart_knows_open_and_aborted_transactions(under_test: Any, was_clean: bool) -> None:
    """reliability.md: recovery rebuilds txnindex and producer state."""
    write(under_test, 41)
    write(under_test, 42)
    end(under_test, 42)
    if was_clean:
        under_test.log.close()
    else:
        under_test.disk.remove(under_test.path(FIRST_INDEX))
    log = under_test.reopen(was_clean=was_clean)
    assert log.producers.get(41).current_txn_first_offset == 0
    assert log.advance_high_watermark(3) == 0
    assert aborted_in(under_test, 0) == [AbortedTransaction(42, 1, 2, 0)]
    end(under_test, 41)
    assert log.advance_high_watermark(4) == 4


def test_the_index_goes_with_its_segment(under_test: Any) -> None:
    write(under_test, 41)
    end(under_test, 41)
    under_test.log.roll(now_ms=0)
    under_test.fill(1)
    under_test.log.delete_records_before(2)
    removed = under_test.log.remove_segments(under_test.log.retention_plan(0), now_ms=0)
    assert under_test.path(FIRST_INDEX) + ".deleted" in removed
    assert under_test.names(".txnindex") == []


def test_the_log_may_lose_the_beginning_of_an_open_transaction(under_test: Any) -> None:
    write(under_test, 41)
    write(under_test, 41, sequence=1)
    under_test.log.high_watermark = 2
    under_test.log.delete_records_before(1)
    assert under_test.log.advance_high_watermark(2) == 1
    end(under_test, 41)
    assert under_test.log.advance_high_watermark(3) == 3


def test_a_batch_that_spans_the_start_of_the_log_still_begins_its_transaction(
    under_test: Any,
) -> None:
    buffer = under_test.batch(
        b"one", b"two", producer_id=41, producer_epoch=0, base_sequence=0, is_transactional=True
    )
    guard = under_test.log.producers.verifications.begin(41, 0, 0, bumps_epochs=False, now_ms=0)
    under_test.log.append(buffer, [(0, read_header(buffer))], leader_epoch=0, now_ms=0, guard=guard)
    under_test.log.roll(now_ms=0)
    write(under_test, 41, sequence=2)
    for name in under_test.names(".snapshot"):
        under_test.disk.remove(under_test.path(name))
    log = under_test.reopen(was_clean=False, recovery_point=2, log_start_offset=1)
    # Offset 1 is readable, and part of the transaction.
    assert log.advance_high_watermark(3) == 1


def test_an_index_made_anew_survives_a_crash(under_test: Any) -> None:
    """A damaged index, made anew after a clean stop, was lost by the next crash: then the aborted
    records looked committed."""
    under_test.disk = SimulatedDisk(3)
    under_test.disk.make_directories("/data")
    under_test.disk.sync_directory("/")
    under_test.log = under_test.log.create(
        under_test.disk,
        under_test.log.directory,
        under_test.config,
        under_test.name,
        under_test.log.topic_id,
        now_ms=0,
    )
    write(under_test, 41)
    end(under_test, 41)
    under_test.log.roll(now_ms=0)
    under_test.fill(1)
    under_test.log.close()
    file = under_test.disk.open(under_test.path(FIRST_INDEX))
    file.write([bytes(34)], 0)
    file.sync()
    expected = [AbortedTransaction(41, 0, 1, 2)]
    under_test.reopen(was_clean=True, recovery_point=3)
    assert aborted_in(under_test, 0) == expected
    under_test.disk = under_test.disk.crash()
    under_test.reopen(was_clean=False, recovery_point=3)
    assert aborted_in(under_test, 0) == expected
