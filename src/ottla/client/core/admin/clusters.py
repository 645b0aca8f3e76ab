"""The cluster as a whole: its nodes, its metadata quorum, its features, what its brokers speak."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from ottla.client.admin.clusters import DescribeClusterResult
from ottla.client.admin.features import (
    ApiVersionRange,
    EndpointType,
    FeatureMetadata,
    FeatureUpdate,
    LevelRange,
    UpgradeType,
)
from ottla.client.admin.quorum import QuorumInfo, QuorumListener, QuorumReplica
from ottla.client.core.admin.brokers import METADATA_WITHOUT_CREATION, itself, nodes_of
from ottla.client.core.admin.call import Call, Operation, Outcomes, ask_all, ask_one
from ottla.client.core.admin.checks import flag
from ottla.client.core.admin.outcomes import operations, outcome, raise_for
from ottla.client.core.admin.routes import NO_CONTROLLER, Request, any_broker, broker, controller
from ottla.client.core.admin.topics import node, uuid_of
from ottla.client.errors import KafkaError
from ottla.client.values import Node
from ottla.wire.api.k03_metadata import MetadataRequest, MetadataResponse
from ottla.wire.api.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse
from ottla.wire.api.k55_describe_quorum import DescribedPartition as DescribedQuorum
from ottla.wire.api.k55_describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    QuorumPartition,
    QuorumTopic,
)
from ottla.wire.api.k55_describe_quorum import QuorumReplica as DescribedReplica
from ottla.wire.api.k57_update_features import FeatureUpdate as UpdatedLevel
from ottla.wire.api.k57_update_features import UpdateFeaturesRequest, UpdateFeaturesResponse
from ottla.wire.api.k60_describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from ottla.wire.api.k64_unregister_broker import (
    UnregisterBrokerRequest,
    UnregisterBrokerResponse,
)
from ottla.wire.api.k80_add_raft_voter import (
    AddRaftVoterRequest,
    AddRaftVoterResponse,
    VoterListener,
)
from ottla.wire.api.k81_remove_raft_voter import (
    RemoveRaftVoterRequest,
    RemoveRaftVoterResponse,
)
from ottla.wire.apis import APIS
from ottla.wire.declare import ZERO_UUID, Message

# Between these versions Metadata also tells the operations allowed on the cluster.
_METADATA_WITH_CLUSTER_OPERATIONS = (8, 10)
_METADATA_TOPIC = "__cluster_metadata"
# The connection has introduced itself already; these only have to be well-formed (KIP-511).
_SOFTWARE, _ANY_VERSION = "ottla", "0"


def describe_cluster(
    *, include_authorized_operations: bool = False, timed_out: KafkaError = NO_CONTROLLER
) -> Operation[DescribeClusterResult]:
    """Describe the cluster and its live brokers; an old broker says nothing of rights."""
    flag(include_authorized_operations, "include_authorized_operations")
    oldest, newest = _METADATA_WITH_CLUSTER_OPERATIONS

    def request(_: Sequence[None]) -> Request:
        return lambda version: MetadataRequest(
            topics=[],
            allow_auto_topic_creation=False,
            include_cluster_authorized_operations=(
                include_authorized_operations and version >= oldest
            ),
        )

    def read(
        answer: MetadataResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, DescribeClusterResult | KafkaError]]:
        raise_for(answer.error_code)
        nodes = nodes_of(answer)
        yield (
            None,
            DescribeClusterResult(
                node(nodes, answer.controller_id),
                list(nodes.values()),
                answer.cluster_id,
                operations(answer.cluster_authorized_operations),
            ),
        )

    call = Call(
        [None],
        any_broker(timed_out),
        request,
        MetadataResponse,
        read,
        at_least=METADATA_WITHOUT_CREATION,
        at_most=newest if include_authorized_operations else None,
    )
    return ask_one(call)


def describe_nodes(
    *,
    endpoint_type: EndpointType,
    include_fenced_brokers: bool,
    include_authorized_operations: bool,
) -> Operation[DescribeClusterResult]:
    """Describe the cluster with its controllers, or with its brokers including fenced ones."""
    flag(include_fenced_brokers, "include_fenced_brokers")
    flag(include_authorized_operations, "include_authorized_operations")

    def request(_: Sequence[None]) -> DescribeClusterRequest:
        return DescribeClusterRequest(
            include_cluster_authorized_operations=include_authorized_operations,
            endpoint_type=endpoint_type.value,
            include_fenced_brokers=include_fenced_brokers,
        )

    def read(
        answer: DescribeClusterResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, DescribeClusterResult | KafkaError]]:
        raise_for(answer.error_code, answer.error_message)
        nodes = {b.broker_id: Node(b.broker_id, b.host, b.port, b.rack) for b in answer.brokers}
        result = DescribeClusterResult(
            node(nodes, answer.controller_id),
            list(nodes.values()),
            answer.cluster_id,
            operations(answer.cluster_authorized_operations),
        )
        result.fenced_broker_ids = frozenset(b.broker_id for b in answer.brokers if b.is_fenced)
        yield None, result

    is_about_controllers = endpoint_type is not EndpointType.BROKER
    at_least = 2 if include_fenced_brokers else 1 if is_about_controllers else 0
    call = Call([None], any_broker(), request, DescribeClusterResponse, read, at_least=at_least)
    return ask_one(call)


def describe_metadata_quorum() -> Operation[QuorumInfo]:
    """Describe the quorum of the metadata log."""

    def request(_: Sequence[None]) -> DescribeQuorumRequest:
        partitions = [QuorumPartition(partition_index=0)]
        return DescribeQuorumRequest(
            topics=[QuorumTopic(topic_name=_METADATA_TOPIC, partitions=partitions)]
        )

    def read(
        answer: DescribeQuorumResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, QuorumInfo | KafkaError]]:
        raise_for(answer.error_code, answer.error_message)
        for topic in answer.topics:
            for quorum in topic.partitions:
                raise_for(quorum.error_code, quorum.error_message)
                yield None, _quorum(quorum, answer)

    return ask_one(Call([None], any_broker(), request, DescribeQuorumResponse, read))


def _quorum(quorum: DescribedQuorum, answer: DescribeQuorumResponse) -> QuorumInfo:
    return QuorumInfo(
        quorum.leader_id,
        quorum.leader_epoch,
        quorum.high_watermark,
        [_replica(replica) for replica in quorum.current_voters],
        [_replica(replica) for replica in quorum.observers],
        {
            described.node_id: [
                QuorumListener(listener.name, listener.host, listener.port)
                for listener in described.listeners
            ]
            for described in answer.nodes
        },
    )


def _replica(replica: DescribedReplica) -> QuorumReplica:
    directory = replica.replica_directory_id
    fetched, caught_up = replica.last_fetch_timestamp, replica.last_caught_up_timestamp
    return QuorumReplica(
        replica.replica_id,
        None if directory == ZERO_UUID else uuid_of(directory),
        replica.log_end_offset,
        None if fetched < 0 else fetched,
        None if caught_up < 0 else caught_up,
    )


def unregister_broker(broker_id: int) -> Operation[None]:
    """Forget a broker that will not come back."""

    def request(_: Sequence[int]) -> UnregisterBrokerRequest:
        return UnregisterBrokerRequest(broker_id=broker_id)

    def read(
        answer: UnregisterBrokerResponse, keys: Sequence[int]
    ) -> Iterable[tuple[int, KafkaError | None]]:
        yield keys[0], outcome(answer.error_code, answer.error_message, None)

    return ask_one(Call([broker_id], controller(), request, UnregisterBrokerResponse, read))


def add_raft_voter(
    voter_id: int,
    directory_id: uuid.UUID,
    listeners: Iterable[QuorumListener],
    *,
    cluster_id: str | None,
    timeout_ms: int,
) -> Operation[None]:
    """Let a controller vote (KIP-853)."""
    addresses = [VoterListener(name=a.name, host=a.host, port=a.port) for a in listeners]

    def request(_: Sequence[int]) -> AddRaftVoterRequest:
        return AddRaftVoterRequest(
            cluster_id=cluster_id,
            timeout_ms=timeout_ms,
            voter_id=voter_id,
            voter_directory_id=directory_id,
            listeners=addresses,
        )

    def read(
        answer: AddRaftVoterResponse, keys: Sequence[int]
    ) -> Iterable[tuple[int, KafkaError | None]]:
        yield keys[0], outcome(answer.error_code, answer.error_message, None)

    return ask_one(Call([voter_id], controller(), request, AddRaftVoterResponse, read))


def remove_raft_voter(
    voter_id: int, directory_id: uuid.UUID, *, cluster_id: str | None
) -> Operation[None]:
    """Let a controller vote no longer (KIP-853)."""

    def request(_: Sequence[int]) -> RemoveRaftVoterRequest:
        return RemoveRaftVoterRequest(
            cluster_id=cluster_id, voter_id=voter_id, voter_directory_id=directory_id
        )

    def read(
        answer: RemoveRaftVoterResponse, keys: Sequence[int]
    ) -> Iterable[tuple[int, KafkaError | None]]:
        yield keys[0], outcome(answer.error_code, answer.error_message, None)

    return ask_one(Call([voter_id], controller(), request, RemoveRaftVoterResponse, read))


def describe_features(broker_id: int | None) -> Operation[FeatureMetadata]:
    """The levels of features, as one broker or any knows them."""

    def read(
        answer: ApiVersionsResponse, _: Sequence[int | None]
    ) -> Iterable[tuple[int | None, FeatureMetadata | KafkaError]]:
        raise_for(answer.error_code)
        finalized = {
            f.name: LevelRange(f.min_version_level, f.max_version_level)
            for f in answer.finalized_features
        }
        supported = {
            f.name: LevelRange(f.min_version, f.max_version) for f in answer.supported_features
        }
        epoch = answer.finalized_features_epoch
        yield broker_id, FeatureMetadata(finalized, None if epoch < 0 else epoch, supported)

    route = any_broker() if broker_id is None else broker(broker_id)
    call = Call([broker_id], route, _api_versions, ApiVersionsResponse, read, at_least=3)
    return ask_one(call)


def _api_versions(_: Sequence[object]) -> ApiVersionsRequest:
    return ApiVersionsRequest(client_software_name=_SOFTWARE, client_software_version=_ANY_VERSION)


def describe_api_versions(
    broker_ids: Collection[int],
) -> Operation[Outcomes[int, list[ApiVersionRange]]]:
    """The APIs that brokers offer."""

    def read(
        answer: ApiVersionsResponse, keys: Sequence[int]
    ) -> Iterable[tuple[int, list[ApiVersionRange] | KafkaError]]:
        raise_for(answer.error_code)
        offered = [
            ApiVersionRange(
                api.api_key,
                APIS[api.api_key].name if api.api_key in APIS else None,
                api.min_version,
                api.max_version,
            )
            for api in answer.api_keys
        ]
        yield keys[0], offered

    return ask_all(Call(broker_ids, itself(), _api_versions, ApiVersionsResponse, read))


def update_features(
    updates: Mapping[str, FeatureUpdate], *, timeout_ms: int, validate_only: bool
) -> Operation[Outcomes[str, None]]:
    """Change the levels of features: all of them or none."""
    flag(validate_only, "validate_only")

    def request(keys: Sequence[str]) -> Callable[[int], Message]:
        def make(version: int) -> UpdateFeaturesRequest:
            return UpdateFeaturesRequest(
                timeout_ms=timeout_ms,
                feature_updates=[_level(key, updates[key], version) for key in keys],
                validate_only=validate_only,
            )

        return make

    def read(
        answer: UpdateFeaturesResponse, keys: Sequence[str]
    ) -> Iterable[tuple[str, KafkaError | None]]:
        raise_for(answer.error_code, answer.error_message)
        yield from dict.fromkeys(keys).items()
        for updated in answer.results:
            yield updated.feature, outcome(updated.error_code, updated.error_message, None)

    at_least = 1 if validate_only else 0
    route = controller()
    return ask_all(Call(updates, route, request, UpdateFeaturesResponse, read, at_least=at_least))


def _level(feature: str, update: FeatureUpdate, version: int) -> UpdatedLevel:
    if version >= 1:
        return UpdatedLevel(
            feature=feature,
            max_version_level=update.max_level,
            upgrade_type=update.upgrade_type.value,
        )
    is_downgrade = update.upgrade_type is not UpgradeType.UPGRADE
    return UpdatedLevel(
        feature=feature, max_version_level=update.max_level, allow_downgrade=is_downgrade
    )
