"""DescribeLogDirs: which partitions lie in which directory, and how large they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.log.directory import LogDirectory
from ottla.log.errors import LogDirectoryFailed
from ottla.wire.api.k35_describe_log_dirs import (
    DescribedLogDir,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    LocatedPartition,
    LocatedTopic,
)
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


def handle(context: RequestContext, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse:
    wanted = None
    if request.topics is not None:
        wanted = {
            (topic.topic, partition) for topic in request.topics for partition in topic.partitions
        }
    results = [
        _describe(context, directory, wanted) for directory in context.broker.log_directories
    ]
    results += [_offline(path) for path in context.broker.offline_directories]
    return DescribeLogDirsResponse(results=results)


def _describe(
    context: RequestContext, directory: LogDirectory, wanted: set[tuple[str, int]] | None
) -> DescribedLogDir:
    if directory.failure is not None:
        return _offline(directory.path)
    described = DescribedLogDir(error_code=0, log_dir=directory.path, topics=[])
    try:
        topics: dict[str, LocatedTopic] = {}
        for name, log in directory.partitions.items():
            if wanted is not None and name not in wanted:
                continue
            topic = topics.setdefault(name.topic, LocatedTopic(name=name.topic, partitions=[]))
            topic.partitions.append(
                LocatedPartition(
                    partition_index=name.partition,
                    partition_size=log.size_bytes,
                    offset_lag=0,
                    is_future_key=False,
                )
            )
        described.topics = list(topics.values())
        described.total_bytes, described.usable_bytes = context.broker.disk_space(directory.path)
    except LogDirectoryFailed:
        return _offline(directory.path)
    return described


def _offline(path: str) -> DescribedLogDir:
    return DescribedLogDir(error_code=ErrorCode.KAFKA_STORAGE_ERROR, log_dir=path, topics=[])
