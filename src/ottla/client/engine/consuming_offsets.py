"""Offsets of the consumer's group: committed on request, in intervals and at the end; looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ottla.client.core.backoff import backoff_ms
from ottla.client.core.consuming.offsets import (
    MEMBERSHIP_ERRORS,
    NEWEST_VERSION,
    Outcome,
    Retry,
    commit_error_codes,
    commit_request,
    looked_up,
    lookup_request,
    retry,
)
from ottla.client.core.consuming.partition import NO_POSITION, AssignedPartition, Key, Stored
from ottla.client.core.reachability import UNREACHABLE
from ottla.client.core.targets import Coordinator, KeyType, Lane
from ottla.client.engine.log import WARNING
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.values import OFFSET_INVALID, TopicPartition, partition_result
from ottla.wire.api.k08_offset_commit import OffsetCommitResponse
from ottla.wire.api.k09_offset_fetch import OffsetFetchResponse
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.client.engine.consuming import Consuming

# On the coordinator's own lane a commit would wait for the answer to a parked JoinGroup, and come
# too late for its generation.
_LANE = Lane.MAIN
# How often a commit is sent again that came with the epoch of a moment ago (KIP-848).
_STALE_EPOCH_RETRIES = 5


class Commit(NamedTuple):
    """What became of a commit: as a whole, and of each partition."""

    error: KafkaError | None
    offsets: list[TopicPartition]


class ConsumingOffsets:
    """Commits and looks up offsets.

    Attributes:
        committed: what was committed or looked up last, by topic and number.
    """

    def __init__(self, consuming: Consuming) -> None:
        self._consuming = consuming
        self._engine = consuming.engine
        configuration = consuming.configuration
        self._configuration = configuration
        self._coordinator = Coordinator(KeyType.GROUP, configuration.group_id or "")
        self.committed: dict[Key, Stored] = {}
        # Commits go out one after another: one that is tried again must not undo a later one.
        self._turn = asyncio.Lock()
        self._background: set[asyncio.Task[None]] = set()
        self._reported_code = 0
        if configuration.enable_auto_commit and configuration.auto_commit_interval_ms > 0:
            self._commit_in_intervals()

    # Committing

    def uncommitted(self) -> dict[Key, Stored]:
        """What is stored and not committed yet. Any thread may ask."""
        return {
            key: stored
            for key, partition in list(self._consuming.assignment.items())
            if (stored := partition.uncommitted) is not None
        }

    async def commit(self, offsets: Mapping[Key, Stored] | None) -> Commit:
        """Commit these offsets, or all that are stored.

        Returns:
            What became of them; ``_NO_OFFSET`` when there is nothing to commit.
        """
        if offsets is None:
            offsets = self.uncommitted()
            keys = sorted({*self._consuming.assignment, *offsets})
        else:
            keys = list(offsets)
        offsets = {key: stored for key, stored in offsets.items() if stored.offset >= 0}
        if not offsets:
            error = KafkaError(KafkaError._NO_OFFSET)
            return Commit(error, [partition_result(*key) for key in keys])
        async with self._turn:
            outcomes = await self._commit(offsets)
        errors = [outcome.error for outcome in outcomes.values() if outcome.error is not None]
        unknown = Outcome(OFFSET_INVALID)
        return Commit(
            errors[-1] if errors else None,
            [
                partition_result(
                    *key,
                    outcome.offset,
                    metadata=outcome.metadata,
                    leader_epoch=outcome.leader_epoch,
                    error=outcome.error,
                )
                for key in keys
                for outcome in [outcomes.get(key, unknown)]
            ],
        )

    async def _commit(self, offsets: Mapping[Key, Stored]) -> dict[Key, Outcome]:
        deadline_ms = self._engine.now_ms() + self._configuration.session_timeout_ms
        failures = 0
        while True:
            sent_as = self._consuming.group.metadata
            try:
                answer = await self._engine.ask(
                    self._coordinator,
                    commit_request(sent_as, offsets),
                    OffsetCommitResponse,
                    at_most=NEWEST_VERSION,
                    timeout_ms=max(1.0, deadline_ms - self._engine.now_ms()),
                    lane=_LANE,
                )
                codes = commit_error_codes(answer)
            except KafkaException as exception:
                error: KafkaError = exception.args[0]
                if error.code() not in UNREACHABLE or self._engine.is_closed:
                    return _all_failed(offsets, error)
                codes = dict.fromkeys(offsets, int(KafkaError._WAIT_COORD))
            failures += 1
            if not self._is_worth_a_retry(codes, failures):
                break
            if not await self._pause(failures, deadline_ms):
                break
        for code in sorted(set(codes.values()) & MEMBERSHIP_ERRORS):
            self._consuming.group.commit_failed(code, sent_as)
        return {key: self._outcome(key, offsets[key], codes) for key in offsets}

    def _is_worth_a_retry(self, codes: Mapping[Key, int], failures: int) -> bool:
        kinds = {retry(code) for code in codes.values()}
        if Retry.ELSEWHERE in kinds:
            self._engine.forget_coordinator(self._coordinator)
        is_stale = ErrorCode.STALE_MEMBER_EPOCH in codes.values()
        return kinds != {Retry.NO} or (is_stale and failures <= _STALE_EPOCH_RETRIES)

    async def _pause(self, failures: int, deadline_ms: float) -> bool:
        """Wait before another try; False: the time is over."""
        wait_ms = backoff_ms(
            failures,
            first_ms=self._configuration.retry_backoff_ms,
            max_ms=self._configuration.retry_backoff_max_ms,
            randomness=self._engine.randomness(),
        )
        if self._engine.now_ms() + wait_ms >= deadline_ms or self._engine.is_closed:
            return False
        await asyncio.sleep(wait_ms / 1000)
        return True

    def _outcome(self, key: Key, stored: Stored, codes: Mapping[Key, int]) -> Outcome:
        code = codes.get(key, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        error = None if code == ErrorCode.NONE else KafkaError(code)
        if error is None:
            self._remember(key, stored)
        return Outcome(stored.offset, error, stored.leader_epoch, stored.metadata)

    def _remember(self, key: Key, stored: Stored) -> None:
        self.committed[key] = stored
        partition = self._consuming.assignment.get(key)
        if partition is not None:
            partition.committed = stored

    # In the background

    def commit_soon(
        self, offsets: Mapping[Key, Stored] | None, *, is_automatic: bool = False
    ) -> None:
        """Commit and tell ``on_commit``."""
        task = asyncio.ensure_future(self._commit_and_tell(offsets, is_automatic))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _commit_and_tell(
        self, offsets: Mapping[Key, Stored] | None, is_automatic: bool
    ) -> None:
        commit = await self.commit(offsets)
        if is_automatic and commit.error == KafkaError._NO_OFFSET:
            return
        callback = self._configuration.on_commit
        if callback is not None:
            self._consuming.application.call_user(callback, commit.error, commit.offsets)
        elif commit.error is not None and is_automatic:
            text = f"Automatic commit failed: {commit.error.str()}"
            self._engine.log.write(WARNING, "COMMITFAIL", text)

    def commit_dropped(self, partitions: Sequence[AssignedPartition]) -> None:
        """Partitions are not read any more: commit what is stored of them, if that is automatic."""
        if not self._configuration.enable_auto_commit or self._consuming.group.is_lost:
            return
        if any(partition.uncommitted is not None for partition in partitions):
            offsets = {p.key: p.uncommitted or NO_POSITION for p in partitions}
            self.commit_soon(offsets, is_automatic=True)

    async def settled(self) -> None:
        """Wait until the commits under way are done."""
        while self._background:
            await asyncio.wait(set(self._background))

    async def finish(self, timeout_ms: float) -> None:
        """Wait for the last commits, but not for ever."""
        if self._background:
            _, late = await asyncio.wait(set(self._background), timeout=timeout_ms / 1000)
            for task in late:
                task.cancel()

    def _commit_in_intervals(self) -> None:
        if self._consuming.is_closed:
            return
        if not self._background and self.uncommitted():
            self.commit_soon(None, is_automatic=True)
        interval_ms = self._configuration.auto_commit_interval_ms
        self._engine.call_at(self._engine.now_ms() + interval_ms, self._commit_in_intervals)

    # Looking up

    async def look_up(
        self, keys: Iterable[Key], timeout_ms: float | None = None
    ) -> dict[Key, Outcome]:
        """The group's committed offsets; ``OFFSET_INVALID`` where there is none.

        Raises:
            KafkaException: the coordinator can't be asked, or says no.
        """
        keys = list(keys)
        if not keys:
            return {}
        if timeout_ms is None:
            timeout_ms = self._configuration.socket_timeout_ms
        deadline_ms = self._engine.now_ms() + timeout_ms
        failures = 0
        while True:
            error_code, found = await self._look_up(keys, deadline_ms)
            codes = {int(o.error.code()) for o in found.values() if o.error is not None}
            kinds = {retry(code) for code in {error_code, *codes}}
            if Retry.ELSEWHERE in kinds:
                self._engine.forget_coordinator(self._coordinator)
            if kinds == {Retry.NO}:
                break
            failures += 1
            if not await self._pause(failures, deadline_ms):
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        if error_code != ErrorCode.NONE:
            raise KafkaException(KafkaError(error_code))
        self._reported_code = 0
        for key, outcome in found.items():
            if outcome.error is None and outcome.offset >= 0:
                self._remember(key, Stored(outcome.offset, outcome.leader_epoch))
            elif outcome.error is None:
                self.committed.pop(key, None)
        return found

    async def _look_up(
        self, keys: Iterable[Key], deadline_ms: float
    ) -> tuple[int, dict[Key, Outcome]]:
        is_stable = self._configuration.isolation_level == "read_committed"
        request = lookup_request(self._consuming.group.metadata, keys, require_stable=is_stable)
        left_ms = max(1.0, deadline_ms - self._engine.now_ms())
        try:
            answer = await self._engine.ask(
                self._coordinator,
                request,
                OffsetFetchResponse,
                at_most=NEWEST_VERSION,
                timeout_ms=left_ms,
            )
        except KafkaException as exception:
            if exception.args[0].code() not in UNREACHABLE or self._engine.is_closed:
                raise
            return ErrorCode.COORDINATOR_NOT_AVAILABLE, {}
        return looked_up(answer, keys)

    def report_lookup(self, error: KafkaError) -> None:
        """Committed offsets could not be looked up: tell the application what it can't guess."""
        code = error.code()
        if code > 0 and code != self._reported_code and retry(code) is Retry.NO:
            self._reported_code = code
            self._consuming.application.fail(error, None)


def _all_failed(offsets: Mapping[Key, Stored], error: KafkaError) -> dict[Key, Outcome]:
    return {
        key: Outcome(stored.offset, error, stored.leader_epoch, stored.metadata)
        for key, stored in offsets.items()
    }
