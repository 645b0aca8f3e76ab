"""The store on SQLite: transactions, conditions, leases, changes, and files that are not right."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from ottla.metadata.mutations import Delete, DeletePrefix, Mutation, Put
from ottla.metadata.store.interface import (
    CONTROLLER_LEASE,
    Change,
    Compare,
    CompareFailedError,
    Lease,
    MetadataStore,
    MetadataStoreError,
    RevisionCompactedError,
    StaleLeaseError,
)
from ottla.metadata.store.sqlite import IN_MEMORY, KEPT_REVISIONS, SqliteMetadataStore

Body = Callable[[MetadataStore, Lease], Awaitable[None]]


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    return IN_MEMORY if request.param == "memory" else str(tmp_path / "metadata.sqlite")


def _run(path: str, body: Body) -> None:
    async def main() -> None:
        store = SqliteMetadataStore(path)
        try:
            lease = await store.acquire_lease(CONTROLLER_LEASE, "b1", now_ms=0, duration_ms=10)
            assert lease is not None
            await body(store, lease)
        finally:
            await store.close()

    asyncio.run(main())


def test_a_transaction_writes_all_and_makes_one_revision(path: str) -> None:
    async def body(store: MetadataStore, lease: Lease) -> None:
        first = await store.commit([Put("a/1", "x"), Put("a/2", "y"), Put("b", "z")], lease=lease)
        second = await store.commit([Put("a/1", "w"), Delete("b"), Delete("none")], lease=lease)
        assert second == first + 1
        entry = await store.get("a/1")
        assert entry == ("a/1", "w", second)
        assert await store.get("b") is None
        found = await store.range("a/")
        assert found.revision == second
        assert [each[:2] for each in found.entries] == [("a/1", "w"), ("a/2", "y")]
        await store.commit([DeletePrefix("a/")], lease=lease)
        assert (await store.range("")).entries == []

    _run(path, body)


def test_a_failed_condition_writes_nothing(path: str) -> None:
    async def body(store: MetadataStore, lease: Lease) -> None:
        revision = await store.commit([Put("a", "1")], lease=lease)
        for compare in (Compare("a", 0), Compare("a", revision + 1), Compare("b", 1)):
            with pytest.raises(CompareFailedError) as raised:
                await store.commit([Put("c", "1"), Put("a", "2")], lease=lease, compares=[compare])
            assert raised.value.compare == compare
        assert await store.get("c") is None
        holds = [Compare("a", revision), Compare("b", 0)]
        await store.commit([Put("a", "2")], lease=lease, compares=holds)
        assert (await store.range("")).revision == revision + 1

    _run(path, body)


def test_of_two_writers_that_read_the_same_one_must_read_again(path: str) -> None:
    async def increment(store: MetadataStore, lease: Lease) -> int:
        retries = 0
        while True:
            entry = await store.get("n")
            value, revision = (int(entry.value), entry.revision) if entry else (0, 0)
            try:
                await store.commit(
                    [Put("n", str(value + 1))], lease=lease, compares=[Compare("n", revision)]
                )
            except CompareFailedError:
                retries += 1
            else:
                return retries

    async def body(store: MetadataStore, lease: Lease) -> None:
        await asyncio.gather(*(increment(store, lease) for _ in range(20)))
        entry = await store.get("n")
        assert entry is not None
        assert entry.value == "20"

    _run(path, body)


def test_an_older_epoch_can_no_longer_write(path: str) -> None:
    async def body(store: MetadataStore, lease: Lease) -> None:
        async def acquire(holder: str, now_ms: int) -> Lease | None:
            return await store.acquire_lease(
                CONTROLLER_LEASE, holder, now_ms=now_ms, duration_ms=10
            )

        assert await acquire("b2", 9) is None
        renewed = await acquire("b1", 9)
        assert renewed == lease._replace(expires_ms=19)
        assert await acquire("b2", 18) is None
        taken = await acquire("b2", 19)
        assert taken is not None
        assert taken.epoch == lease.epoch + 1
        with pytest.raises(StaleLeaseError) as raised:
            await store.commit([Put("a", "1")], lease=lease)
        assert raised.value.current_epoch == taken.epoch
        assert await store.get("a") is None
        await store.commit([Put("a", "1")], lease=taken)
        await store.release_lease(lease)
        assert await acquire("b3", 20) is None
        await store.release_lease(taken)
        freed = await acquire("b3", 20)
        assert freed is not None
        assert freed.epoch == taken.epoch + 1
        unknown = Lease("other", "b1", 1, 100)
        with pytest.raises(StaleLeaseError):
            await store.commit([Put("a", "2")], lease=unknown)

    _run(path, body)


async def _next(changes: AsyncIterator[list[Change]]) -> list[Change]:
    return await asyncio.wait_for(anext(changes), 10)


def test_a_watcher_sees_every_transaction_once_and_in_order(path: str) -> None:
    async def body(store: MetadataStore, lease: Lease) -> None:
        await store.commit([Put("old", "1")], lease=lease)
        start = (await store.range("")).revision
        first = await store.commit([Put("a/1", "x"), Put("b", "y")], lease=lease)
        everything, part = store.watch(start), store.watch(start, "a/")
        assert await _next(everything) == [Change("a/1", "x", first), Change("b", "y", first)]
        assert await _next(part) == [Change("a/1", "x", first)]
        waiting = asyncio.ensure_future(_next(part))
        await asyncio.sleep(0)
        second = await store.commit([Put("b", "z")], lease=lease)
        third = await store.commit([DeletePrefix("a/")], lease=lease)
        assert await waiting == [Change("a/1", None, third)]
        assert await _next(everything) == [Change("b", "z", second)]
        assert await _next(everything) == [Change("a/1", None, third)]

    _run(path, body)


def test_changes_are_kept_for_a_while_only() -> None:
    async def body(store: MetadataStore, lease: Lease) -> None:
        for number in range(KEPT_REVISIONS + 5):
            await store.commit([Put("a", str(number))], lease=lease)
        with pytest.raises(RevisionCompactedError):
            await _next(store.watch(4))
        assert (await _next(store.watch(5)))[0].value == "5"

    _run(IN_MEMORY, body)


def test_everything_is_still_there_after_closing(tmp_path: pathlib.Path) -> None:
    file = str(tmp_path / "metadata.sqlite")
    leases: list[Lease] = []

    async def write(store: MetadataStore, lease: Lease) -> None:
        leases.append(lease)
        await store.commit([Put("a", "1")], lease=lease)

    async def read(store: MetadataStore, lease: Lease) -> None:
        assert (await store.range("")).entries == [("a", "1", 1)]
        # Nobody else can have the file open, so the lease of the run before has ended.
        assert lease.epoch == leases[0].epoch + 1
        with pytest.raises(StaleLeaseError):
            await store.commit([Put("a", "2")], lease=leases[0])

    _run(file, write)
    _run(file, read)
    assert os.listdir(tmp_path) == ["metadata.sqlite"]


def test_nothing_can_be_asked_of_a_closed_store(path: str) -> None:
    async def main() -> None:
        store = SqliteMetadataStore(path)
        await store.close()
        await store.close()
        with pytest.raises(MetadataStoreError, match="is closed"):
            await store.get("a")

    asyncio.run(main())


def _wrong_file(path: pathlib.Path, kind: str) -> None:
    if kind == "text":
        path.write_text("this is no database, but long enough to be read as one" * 40)
        return
    database = sqlite3.connect(path)
    if kind == "foreign":
        database.execute("CREATE TABLE theirs(x)")
    else:
        database.execute("PRAGMA user_version = 99")
        database.execute("PRAGMA application_id = 1333032044")
        database.execute("CREATE TABLE entries(x)")
    database.commit()
    database.close()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "restore it from a backup"),
        ("foreign", "not Ottla's metadata"),
        ("newer", "was written by a newer Ottla"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_and_left_alone(
    tmp_path: pathlib.Path, kind: str, message: str
) -> None:
    file = tmp_path / "metadata.sqlite"
    _wrong_file(file, kind)
    before = file.read_bytes()
    with pytest.raises(MetadataStoreError, match=message):
        SqliteMetadataStore(str(file))
    assert file.read_bytes() == before


def test_a_damaged_page_is_reported_and_not_read_over(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "metadata.sqlite"
    mutations: list[Mutation] = [Put(f"k{number:05}", "v" * 100) for number in range(2000)]

    async def write(store: MetadataStore, lease: Lease) -> None:
        await store.commit(mutations, lease=lease)

    async def read(store: MetadataStore, lease: Lease) -> None:
        await store.range("")

    _run(str(file), write)
    data = bytearray(file.read_bytes())
    for start in range(8 * 4096, len(data) - 4096, 4096):
        data[start : start + 512] = b"\xff" * 512
    file.write_bytes(data)
    with pytest.raises(MetadataStoreError, match="restore it from a backup"):
        _run(str(file), read)


def test_a_directory_that_is_not_there_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(MetadataStoreError, match="check that its directory exists"):
        SqliteMetadataStore(str(tmp_path / "none" / "metadata.sqlite"))


CHILD = """
import asyncio, sys
from ottla.metadata.mutations import Put
from ottla.metadata.store.sqlite import SqliteMetadataStore

async def main():
    store = SqliteMetadataStore(sys.argv[1])
    lease = await store.acquire_lease("controller", "b1", now_ms=0, duration_ms=10)
    number = int((await store.get("n")).value) if await store.get("n") else 0
    while True:
        number += 1
        await store.commit([Put("n", str(number)), Put(f"k{number}", "x")], lease=lease)
        print(number, flush=True)

asyncio.run(main())
"""


def _child(file: pathlib.Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(file)], stdout=subprocess.PIPE, text=True
    )


def test_what_was_committed_survives_a_kill_and_is_whole(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "metadata.sqlite"
    promised = 0

    async def check(store: MetadataStore, lease: Lease) -> None:
        entry = await store.get("n")
        assert entry is not None
        assert int(entry.value) >= promised
        keys = {each.key for each in (await store.range("k")).entries}
        assert keys == {f"k{number}" for number in range(1, int(entry.value) + 1)}

    for lines in (1, 7, 30):
        child = _child(file)
        assert child.stdout is not None
        with child.stdout:
            for _ in range(lines):
                promised = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            child.wait()
        _run(str(file), check)


def test_a_second_process_on_the_same_file_is_refused(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "metadata.sqlite"
    child = _child(file)
    assert child.stdout is not None
    with child.stdout:
        child.stdout.readline()
        try:
            with pytest.raises(MetadataStoreError, match="another process has the metadata"):
                SqliteMetadataStore(str(file))
        finally:
            child.kill()
            child.wait()


def test_a_cancelled_caller_does_not_stop_what_is_being_written(tmp_path: pathlib.Path) -> None:
    async def body(store: Any, lease: Lease) -> None:
        writing = asyncio.ensure_future(store.commit([Put("a", "1")], lease=lease))
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert await store.get("a") == ("a", "1", 1)

    _run(str(tmp_path / "metadata.sqlite"), body)
