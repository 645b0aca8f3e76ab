"""A consumer in a group: it joins, starts from what is committed, polls, commits what it got."""

from __future__ import annotations

from collections.abc import Callable

from ottla.testing.history import Isolation
from ottla.testing.simulation.clients.fetching import Fetched, fetch
from ottla.testing.simulation.clients.link import Link, Unanswered, is_retriable
from ottla.testing.simulation.clients.membership import (
    Fenced,
    Membership,
    RebalanceNeeded,
    commit_offsets,
    fetch_offsets,
)
from ottla.testing.simulation.world import Client
from ottla.wire.errors import ErrorCode

MakeMember = Callable[[Client], Membership]

_FETCH_BYTES = 400
_MAX_WAIT_MS = 300
# After these the group goes on without this member.
REJOIN_CODES = frozenset(
    {
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.REBALANCE_IN_PROGRESS,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.STALE_MEMBER_EPOCH,
        ErrorCode.FENCED_MEMBER_EPOCH,
    }
)


class GroupConsumer:
    """Reads with a group until all is quiet, then leaves it.

    Attributes:
        positions: where it is in the partitions it was given.
    """

    def __init__(self, make_member: MakeMember, isolation: Isolation) -> None:
        self._make_member = make_member
        self._isolation = isolation
        self.positions: dict[str, int] = {}

    async def run(self, client: Client) -> None:
        """The client's life."""
        self.client = client
        self.link = Link(client)
        self.member = self._make_member(client)
        try:
            await self.prepare()
            while self.goes_on:
                await self._take_part()
            await self.member.leave()
        except Fenced:
            client.is_fenced = True
            client.note("is fenced")
        self.link.close()

    @property
    def goes_on(self) -> bool:
        """Whether there is more to do."""
        return not self.client.world.is_quiet

    async def prepare(self) -> None:
        """What comes before joining."""

    async def _take_part(self) -> None:
        """One generation."""
        client, member = self.client, self.member
        partitions = await member.join()
        client.note(f"owns {partitions} in {member.group} {member.epoch}")
        client.history.assign(
            client.name,
            partitions,
            group=member.group,
            member=member.identity,
            generation=member.epoch,
        )
        try:
            await self.seek_to_committed(partitions)
            while self.goes_on:
                await member.keep_alive()
                await self._poll_and_process()
                await client.pause(0.03, 0.2)
        except RebalanceNeeded:
            client.note("must join again")

    async def seek_to_committed(self, partitions: list[str]) -> None:
        """Start from the committed offsets, or from the start."""
        self.positions = {}
        while partitions:
            history = self.client.history
            operation = history.fetch_committed(self.client.name, self.member.group)
            try:
                found = await fetch_offsets(self.link, self.member, partitions)
            except Unanswered as error:
                history.info(operation, str(error))
                found = None
            except RebalanceNeeded:
                history.fail(operation, "another epoch")
                raise
            if found is not None:
                history.ok(operation, offsets=found)
                self.positions = {partition: max(0, offset) for partition, offset in found.items()}
                return
            await self.member.keep_alive()
            await self.link.back_off()

    async def _poll_and_process(self) -> None:
        if not self.positions:
            await self.process(Fetched(), {})
            return
        fetched = await self.poll()
        if fetched is None:
            await self.link.back_off()
            return
        before = dict(self.positions)
        for partition, read in fetched.read.items():
            self.positions[partition] = read.to_offset
        self.positions.update(fetched.starts)
        await self.process(fetched, before)

    async def poll(self) -> Fetched | None:
        """Fetch once; ``None`` without an answer."""
        history = self.client.history
        operation = history.poll(
            self.client.name, group=self.member.group, isolation=self._isolation
        )
        try:
            fetched = await fetch(
                self.link,
                self.positions,
                self._isolation,
                max_wait_ms=_MAX_WAIT_MS,
                partition_max_bytes=_FETCH_BYTES,
            )
        except Unanswered as error:
            history.info(operation, str(error))
            return None
        history.ok(operation, read=fetched.read)
        return fetched

    async def process(self, fetched: Fetched, before: dict[str, int]) -> None:
        """Commit what was polled, now and then."""
        moved = {
            partition: offset
            for partition, offset in self.positions.items()
            if offset != before.get(partition)
        }
        if moved and self.client.random.random() < 0.7:
            await self._commit(dict(self.positions))

    async def _commit(self, offsets: dict[str, int]) -> None:
        history = self.client.history
        operation = history.commit(self.client.name, self.member.group, offsets)
        try:
            code = await commit_offsets(self.link, self.member, offsets)
        except Unanswered as error:
            history.info(operation, str(error))
            return
        if not code:
            history.ok(operation)
            return
        if is_retriable(code) and code not in REJOIN_CODES:
            history.info(operation, ErrorCode(code).name)
            return
        history.fail(operation, ErrorCode(code).name)
        if code == ErrorCode.FENCED_INSTANCE_ID:
            raise Fenced
        if code not in REJOIN_CODES:
            raise AssertionError(f"OffsetCommit: {ErrorCode(code).name}")
        raise RebalanceNeeded
