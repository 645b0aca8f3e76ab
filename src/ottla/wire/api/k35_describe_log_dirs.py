"""DescribeLogDirs (key 35): what lies in a broker's log directories (KIP-113).

Version 3 can fail as a whole (KIP-784), 4 tells the volume's size (KIP-827), and 5 whether new
partitions are kept out of the directory (KIP-1066).
"""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Bool,
    Int16,
    Int32,
    Int64,
    Message,
    String,
    at,
    message,
    struct,
)


@struct
class TopicToLocate:
    """One topic's partitions to look for."""

    topic: String
    partitions: Array[Int32]


@message(key=35, versions="1-5", flexible=2)
class DescribeLogDirsRequest(Message):
    """The partitions to look for."""

    topics: Array[TopicToLocate] | None  # null: all


@struct
class LocatedPartition:
    """One replica's size and progress."""

    partition_index: Int32
    partition_size: Int64
    offset_lag: Int64  # behind the high watermark, or the current log
    is_future_key: Bool  # will replace the current log


@struct
class LocatedTopic:
    """One topic's partitions in the directory."""

    name: String
    partitions: Array[LocatedPartition]


@struct
class DescribedLogDir:
    """One directory, its space and its partitions."""

    error_code: Int16
    log_dir: String
    topics: Array[LocatedTopic]
    total_bytes: Int64 = at("4+", default=-1, ignorable=True)  # -1: unknown
    usable_bytes: Int64 = at("4+", default=-1, ignorable=True)
    is_cordoned: Bool = at("5+", default=False, ignorable=True)


@message(key=35, versions="1-5", flexible=2)
class DescribeLogDirsResponse(Message):
    """The log directories."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16 = at("3+", default=0, ignorable=True)
    results: Array[DescribedLogDir]
