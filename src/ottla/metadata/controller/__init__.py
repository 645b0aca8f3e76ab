"""The controller's decisions: pure functions of the image, one module a subject.

Each is ``decide_*(image, …) -> Decision(records, reply)``. What is wrong with one item of a request
is a :class:`~ottla.wire.errors.ProtocolError` in the reply, so that it never fails the others.
"""

from ottla.metadata.controller.alter_configs import (
    AlterConfigsItem,
    ConfigOperation,
    ConfigOperationType,
    IncrementalAlterConfigsItem,
    decide_alter_configs,
    decide_incremental_alter_configs,
)
from ottla.metadata.controller.brokers import (
    decide_bootstrap,
    decide_broker_registration,
)
from ottla.metadata.controller.create_partitions import NewPartitions, decide_create_partitions
from ottla.metadata.controller.create_topics import CreatedTopic, NewTopic, decide_create_topics
from ottla.metadata.controller.decision import Decision
from ottla.metadata.controller.delete_topics import (
    TopicDeletion,
    TopicReference,
    decide_delete_topics,
    decide_purge_topic,
)
from ottla.metadata.controller.elect_leaders import ElectionType, decide_elect_leaders
from ottla.metadata.controller.producer_ids import ProducerIdBlock, decide_allocate_producer_ids

__all__ = [
    "AlterConfigsItem",
    "ConfigOperation",
    "ConfigOperationType",
    "CreatedTopic",
    "Decision",
    "ElectionType",
    "IncrementalAlterConfigsItem",
    "NewPartitions",
    "NewTopic",
    "ProducerIdBlock",
    "TopicDeletion",
    "TopicReference",
    "decide_allocate_producer_ids",
    "decide_alter_configs",
    "decide_bootstrap",
    "decide_broker_registration",
    "decide_create_partitions",
    "decide_create_topics",
    "decide_delete_topics",
    "decide_elect_leaders",
    "decide_incremental_alter_configs",
    "decide_purge_topic",
]
