"""Deleting consumer groups, or what they have committed, and telling about it."""

from __future__ import annotations

from collections.abc import Sequence

from ottla.cli.kafka.cluster import Cluster, in_order
from ottla.cli.kafka.errors import KafkaFailure
from ottla.cli.kafka.group_queries import delete_group, delete_offsets
from ottla.cli.kafka.offset_resets import parse_topic
from ottla.cli.kafka.partition_offsets import Partition, leaders
from ottla.wire.errors import ErrorCode

_OF_THE_GROUP = {
    ErrorCode.INVALID_GROUP_ID,
    ErrorCode.GROUP_ID_NOT_FOUND,
    ErrorCode.GROUP_AUTHORIZATION_FAILED,
    ErrorCode.NON_EMPTY_GROUP,
}
_OF_PARTITIONS = {
    ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC,
    ErrorCode.TOPIC_AUTHORIZATION_FAILED,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
}


async def delete_groups(cluster: Cluster, group_ids: Sequence[str]) -> None:
    """Delete groups."""

    async def attempt(group_id: str) -> KafkaFailure | None:
        try:
            await delete_group(cluster, group_id)
        except KafkaFailure as failure:
            return failure
        return None

    failures = dict(
        zip(group_ids, await in_order(attempt(each) for each in group_ids), strict=True)
    )
    deleted = [f"'{group_id}'" for group_id, failure in failures.items() if failure is None]
    if len(deleted) == len(failures):
        print(f"Deletion of requested consumer groups ({', '.join(deleted)}) was successful.")
        return
    print("\nError: Deletion of some consumer groups failed:")
    for group_id, failure in failures.items():
        if failure is not None:
            print(f"* Group '{group_id}' could not be deleted due to: {failure.qualified}")
    if deleted:
        print(f"\nThese consumer groups were deleted successfully: {', '.join(deleted)}")


async def delete_group_offsets(cluster: Cluster, group_id: str, topics: Sequence[str]) -> None:
    """Forget what a group has committed of topics."""
    parsed = [parse_topic(topic) for topic in topics]
    whole = [topic for topic, indexes in parsed if indexes is None]
    existing = await leaders(cluster, whole) if whole else {}
    results: dict[Partition, KafkaFailure | None] = {}
    partitions: set[Partition] = set()
    for topic, indexes in parsed:
        if indexes is not None:
            partitions |= {(topic, index) for index in indexes}
            continue
        found = {partition for partition in existing if partition[0] == topic}
        partitions |= found
        if not found:
            results[topic, -1] = KafkaFailure(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    failure = None
    try:
        if partitions:
            results |= await delete_offsets(cluster, group_id, sorted(partitions))
    except KafkaFailure as refused:
        failure = refused
        results |= dict.fromkeys(partitions, refused)
    failures = (results[each] for each in partitions if results[each] is not None)
    _tell(group_id, failure or next(failures, None))
    _print_results(results)


def _tell(group_id: str, failure: KafkaFailure | None) -> None:
    if failure is None:
        print(f"Request succeeded for deleting offsets from group {group_id}.")
    elif failure.code in _OF_THE_GROUP:
        print(f"\nError: {failure.message}")
    elif failure.code in _OF_PARTITIONS:
        print("\nError: Encountered some partition-level error, see the follow-up details.")
    else:
        print(f"\nError: Encountered some unknown error: {failure.code.name}")


def _print_results(results: dict[Partition, KafkaFailure | None]) -> None:
    width = max([15, *(len(topic) for topic, _ in results)])
    rows = [("TOPIC", "PARTITION", "STATUS")]
    for (topic, index), failure in sorted(results.items()):
        status = "Successful" if failure is None else f"Error: {failure.qualified}"
        rows.append((topic, str(index) if index >= 0 else "-", status))
    print()
    for topic, shown, status in rows:
        print(f"{topic:<{width}} {shown:<10} {status:<15}")
