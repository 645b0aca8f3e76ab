"""DescribeCluster (key 60): brokers or controllers of the cluster (KIP-700).

Version 1 can ask for controllers (KIP-919), 2 for fenced brokers (KIP-1073).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Bool, Int8, Int16, Int32, Message, String, at, message, struct


@message(key=60, versions="0-2", flexible=0)
class DescribeClusterRequest(Message):
    """What to tell."""

    include_cluster_authorized_operations: Bool
    endpoint_type: Int8 = at("1+", default=1)  # 1: brokers, 2: controllers
    include_fenced_brokers: Bool = at("2+", default=False)


@struct
class ClusterNode:
    """A broker or controller and its address."""

    broker_id: Int32
    host: String
    port: Int32
    rack: String | None = at(default=None)
    is_fenced: Bool = at("2+", default=False)


@message(key=60, versions="0-2", flexible=0)
class DescribeClusterResponse(Message):
    """The cluster described."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None = at(default=None)
    endpoint_type: Int8 = at("1+", default=1)
    cluster_id: String
    controller_id: Int32 = at(default=-1)
    brokers: Array[ClusterNode]
    # Bit set; the least int32: not asked for.
    cluster_authorized_operations: Int32 = at(default=-(2**31))
