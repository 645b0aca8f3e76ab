"""One handler per Kafka API: key *n* lives in ``kNN_name``.

A handler module has ``handle(context, request)``. It returns the response; when it has to wait, an
awaitable of it or a ``dispatch.Pending``; and ``None`` for a request that gets no answer (produce
with ``acks=0``). Where the answer follows from the request and the cluster's metadata alone, the
module says ``IS_FUNCTION_OF_IMAGE = True``, and the same question is not answered twice.
"""

from __future__ import annotations

# What ApiVersions tells clients, and nothing that does not work: key -> (oldest, newest version).
# Produce says 0 although 3 is the oldest real version, as Kafka does: librdkafka needs it to use
# the newer versions at all (KAFKA-18659).
ADVERTISED: dict[int, tuple[int, int]] = {
    0: (0, 13),
    1: (4, 18),
    2: (1, 11),
    3: (0, 13),
    8: (2, 10),
    9: (1, 10),
    10: (0, 6),
    11: (0, 9),
    12: (0, 4),
    13: (0, 5),
    14: (0, 5),
    15: (0, 6),
    16: (0, 5),
    18: (0, 4),
    19: (2, 7),
    20: (1, 6),
    21: (0, 2),
    22: (0, 5),
    23: (2, 4),
    24: (0, 5),
    25: (0, 4),
    26: (0, 5),
    32: (1, 4),
    33: (0, 2),
    35: (1, 5),
    37: (0, 3),
    42: (0, 2),
    43: (0, 2),
    44: (0, 1),
    46: (0, 0),
    47: (0, 0),
    57: (0, 2),
    60: (0, 2),
    61: (0, 0),
    65: (0, 0),
    66: (0, 1),
    74: (0, 1),
    75: (0, 0),
}

STEMS: dict[int, str] = {
    0: "k00_produce",
    1: "k01_fetch",
    2: "k02_list_offsets",
    3: "k03_metadata",
    8: "k08_offset_commit",
    9: "k09_offset_fetch",
    10: "k10_find_coordinator",
    11: "k11_join_group",
    12: "k12_heartbeat",
    13: "k13_leave_group",
    14: "k14_sync_group",
    15: "k15_describe_groups",
    16: "k16_list_groups",
    18: "k18_api_versions",
    19: "k19_create_topics",
    20: "k20_delete_topics",
    21: "k21_delete_records",
    22: "k22_init_producer_id",
    23: "k23_offset_for_leader_epoch",
    24: "k24_add_partitions_to_txn",
    25: "k25_add_offsets_to_txn",
    26: "k26_end_txn",
    32: "k32_describe_configs",
    33: "k33_alter_configs",
    35: "k35_describe_log_dirs",
    37: "k37_create_partitions",
    42: "k42_delete_groups",
    43: "k43_elect_leaders",
    44: "k44_incremental_alter_configs",
    46: "k46_list_partition_reassignments",
    47: "k47_offset_delete",
    57: "k57_update_features",
    60: "k60_describe_cluster",
    61: "k61_describe_producers",
    65: "k65_describe_transactions",
    66: "k66_list_transactions",
    74: "k74_list_config_resources",
    75: "k75_describe_topic_partitions",
}
