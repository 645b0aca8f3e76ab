"""Kafka's error codes, and the exceptions that carry them."""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """Every error of Kafka 4.3: its code, what it means and whether a retry may help."""

    message: str
    retriable: bool

    def __new__(cls, code: int, message: str = "", retriable: bool = False) -> ErrorCode:
        error = int.__new__(cls, code)
        error._value_ = code
        error.message = message
        error.retriable = retriable
        return error

    UNKNOWN_SERVER_ERROR = -1, "The server failed in a way it did not expect."
    NONE = 0, "No error."
    OFFSET_OUT_OF_RANGE = 1, "The partition's log has no such offset."
    CORRUPT_MESSAGE = (
        2,
        "The records fail their checksum, exceed the size limit or are otherwise damaged.",
        True,
    )
    UNKNOWN_TOPIC_OR_PARTITION = 3, "This broker knows no such topic or partition.", True
    INVALID_FETCH_SIZE = 4, "The number of bytes asked for is not valid."
    LEADER_NOT_AVAILABLE = 5, "The partition has no leader at the moment.", True
    NOT_LEADER_OR_FOLLOWER = (
        6,
        "This broker is not the partition's leader, or not one of its replicas.",
        True,
    )
    REQUEST_TIMED_OUT = 7, "The request took longer than its timeout.", True
    BROKER_NOT_AVAILABLE = 8, "The broker cannot be reached."
    REPLICA_NOT_AVAILABLE = 9, "This broker has no usable replica of the partition.", True
    MESSAGE_TOO_LARGE = 10, "A record batch is larger than the broker or the topic accepts."
    STALE_CONTROLLER_EPOCH = 11, "The controller has moved to another broker."
    OFFSET_METADATA_TOO_LARGE = 12, "The metadata string of a committed offset is too long."
    NETWORK_EXCEPTION = 13, "The connection was lost before the response arrived.", True
    COORDINATOR_LOAD_IN_PROGRESS = 14, "The coordinator is still loading its state.", True
    COORDINATOR_NOT_AVAILABLE = 15, "There is no coordinator at the moment.", True
    NOT_COORDINATOR = 16, "This broker is not the coordinator asked for.", True
    INVALID_TOPIC_EXCEPTION = (
        17,
        "The topic's name is illegal, or the operation is not allowed on it.",
    )
    RECORD_LIST_TOO_LARGE = 18, "The records do not fit into one log segment."
    NOT_ENOUGH_REPLICAS = (
        19,
        "Fewer replicas are in sync than min.insync.replicas demands; nothing was written.",
        True,
    )
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = (
        20,
        "The records were written, but then too few replicas were in sync.",
        True,
    )
    INVALID_REQUIRED_ACKS = 21, "The value of acks is not one of -1, 0 and 1."
    ILLEGAL_GENERATION = 22, "The group has moved on to another generation."
    INCONSISTENT_GROUP_PROTOCOL = (
        23,
        "The member shares no protocol with the other members of its group.",
    )
    INVALID_GROUP_ID = 24, "The group's id is not valid."
    UNKNOWN_MEMBER_ID = 25, "The group has no member with this id."
    INVALID_SESSION_TIMEOUT = 26, "The session timeout lies outside what the broker allows."
    REBALANCE_IN_PROGRESS = 27, "The group is rebalancing; join again."
    INVALID_COMMIT_OFFSET_SIZE = 28, "The committed offsets take too many bytes."
    TOPIC_AUTHORIZATION_FAILED = 29, "Access to the topic is not allowed."
    GROUP_AUTHORIZATION_FAILED = 30, "Access to the group is not allowed."
    CLUSTER_AUTHORIZATION_FAILED = 31, "This operation on the cluster is not allowed."
    INVALID_TIMESTAMP = 32, "A record's timestamp lies outside the allowed range."
    UNSUPPORTED_SASL_MECHANISM = 33, "The broker does not offer this SASL mechanism."
    ILLEGAL_SASL_STATE = 34, "The request does not fit the state of the SASL handshake."
    UNSUPPORTED_VERSION = 35, "This version of the API, or of a feature in it, is not supported."
    TOPIC_ALREADY_EXISTS = 36, "A topic of this name exists already."
    INVALID_PARTITIONS = 37, "The number of partitions is not valid."
    INVALID_REPLICATION_FACTOR = (
        38,
        "The replication factor is below 1 or above the number of brokers.",
    )
    INVALID_REPLICA_ASSIGNMENT = 39, "The assignment of replicas to brokers is not valid."
    INVALID_CONFIG = 40, "The configuration is not valid."
    NOT_CONTROLLER = 41, "This node is not the active controller.", True
    INVALID_REQUEST = 42, "The request contradicts itself or its schema."
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43, "The log's message format does not support this request."
    POLICY_VIOLATION = 44, "A configured policy forbids the request."
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45, "A producer's sequence number is not the one expected next."
    DUPLICATE_SEQUENCE_NUMBER = 46, "A producer's sequence number was seen before."
    INVALID_PRODUCER_EPOCH = 47, "The producer's epoch is older than the newest known."
    INVALID_TXN_STATE = 48, "The transaction's state does not allow the operation."
    INVALID_PRODUCER_ID_MAPPING = 49, "The producer id does not belong to this transactional id."
    INVALID_TRANSACTION_TIMEOUT = (
        50,
        "The transaction's timeout is larger than transaction.max.timeout.ms.",
    )
    CONCURRENT_TRANSACTIONS = (
        51,
        "Another operation on the same transaction has not finished.",
        True,
    )
    TRANSACTION_COORDINATOR_FENCED = 52, "A newer transaction coordinator has taken over."
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53, "Access to the transactional id is not allowed."
    SECURITY_DISABLED = 54, "The broker has no authorizer configured."
    OPERATION_NOT_ATTEMPTED = 55, "Another operation of the same request failed first."
    KAFKA_STORAGE_ERROR = 56, "The log directory failed or is offline.", True
    LOG_DIR_NOT_FOUND = 57, "The broker has no such log directory."
    SASL_AUTHENTICATION_FAILED = 58, "The credentials were not accepted."
    UNKNOWN_PRODUCER_ID = 59, "The partition knows nothing of this producer id."
    REASSIGNMENT_IN_PROGRESS = 60, "The partition is being reassigned."
    DELEGATION_TOKEN_AUTH_DISABLED = 61, "Delegation tokens are not enabled."
    DELEGATION_TOKEN_NOT_FOUND = 62, "There is no such delegation token."
    DELEGATION_TOKEN_OWNER_MISMATCH = (
        63,
        "Only the owner or a named renewer may use the delegation token so.",
    )
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = (
        64,
        "Delegation tokens cannot be requested over this connection.",
    )
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65, "Access to the delegation token is not allowed."
    DELEGATION_TOKEN_EXPIRED = 66, "The delegation token has expired."
    INVALID_PRINCIPAL_TYPE = 67, "The principal's type is not supported."
    NON_EMPTY_GROUP = 68, "The group still has members."
    GROUP_ID_NOT_FOUND = 69, "There is no such group."
    FETCH_SESSION_ID_NOT_FOUND = 70, "The broker keeps no fetch session with this id.", True
    INVALID_FETCH_SESSION_EPOCH = 71, "The fetch session's epoch is not the one expected.", True
    LISTENER_NOT_FOUND = (
        72,
        "The leader has no listener of the name used for this connection.",
        True,
    )
    TOPIC_DELETION_DISABLED = 73, "Topics cannot be deleted: delete.topic.enable is false."
    FENCED_LEADER_EPOCH = 74, "The leader epoch given is older than the broker's.", True
    UNKNOWN_LEADER_EPOCH = 75, "The leader epoch given is newer than the broker's.", True
    UNSUPPORTED_COMPRESSION_TYPE = 76, "The client cannot read the partition's compression."
    STALE_BROKER_EPOCH = 77, "The broker has registered again since."
    OFFSET_NOT_AVAILABLE = 78, "The new leader's high watermark has not caught up yet.", True
    MEMBER_ID_REQUIRED = 79, "Join again with the member id given in this response."
    PREFERRED_LEADER_NOT_AVAILABLE = 80, "The preferred leader is not available.", True
    GROUP_MAX_SIZE_REACHED = 81, "The group has as many members as group.max.size allows."
    FENCED_INSTANCE_ID = 82, "Another member has joined with the same group.instance.id."
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, "No replica is available that may become leader.", True
    ELECTION_NOT_NEEDED = 84, "The partition already has the leader asked for.", True
    NO_REASSIGNMENT_IN_PROGRESS = 85, "The partition is not being reassigned."
    GROUP_SUBSCRIBED_TO_TOPIC = (
        86,
        "The group is subscribed to the topic, so its offsets cannot be deleted.",
    )
    INVALID_RECORD = 87, "A record was refused by the broker's validation."
    UNSTABLE_OFFSET_COMMIT = 88, "Offsets of an unfinished transaction are pending.", True
    THROTTLING_QUOTA_EXCEEDED = 89, "A quota is exhausted for now.", True
    PRODUCER_FENCED = 90, "A newer producer uses the same transactional id."
    RESOURCE_NOT_FOUND = 91, "There is no such resource."
    DUPLICATE_RESOURCE = 92, "The request names the same resource twice."
    UNACCEPTABLE_CREDENTIAL = 93, "The credential does not meet the requirements."
    INCONSISTENT_VOTER_SET = 94, "Sender or receiver is not one of the expected voters."
    INVALID_UPDATE_VERSION = 95, "The version given for the update is not valid."
    FEATURE_UPDATE_FAILED = 96, "The features could not be finalized."
    PRINCIPAL_DESERIALIZATION_FAILURE = (
        97,
        "The principal of a forwarded request could not be read.",
    )
    SNAPSHOT_NOT_FOUND = 98, "There is no such snapshot."
    POSITION_OUT_OF_RANGE = 99, "The position lies outside the snapshot."
    UNKNOWN_TOPIC_ID = 100, "This broker knows no topic with this id.", True
    DUPLICATE_BROKER_REGISTRATION = 101, "A live broker uses this broker id."
    BROKER_ID_NOT_REGISTERED = 102, "No broker is registered with this id."
    INCONSISTENT_TOPIC_ID = 103, "The topic's id differs from the one in the log.", True
    INCONSISTENT_CLUSTER_ID = 104, "The request is meant for another cluster."
    TRANSACTIONAL_ID_NOT_FOUND = 105, "There is no such transactional id."
    FETCH_SESSION_TOPIC_ID_ERROR = 106, "The fetch session mixes topic names and topic ids.", True
    INELIGIBLE_REPLICA = 107, "A replica named for the ISR may not be in it."
    NEW_LEADER_ELECTED = 108, "The partition's state was changed, and its leader with it."
    OFFSET_MOVED_TO_TIERED_STORAGE = 109, "The offset now lies in tiered storage."
    FENCED_MEMBER_EPOCH = (
        110,
        "The member's epoch was fenced: give up all partitions and join again.",
    )
    UNRELEASED_INSTANCE_ID = 111, "Another member still holds this group.instance.id."
    UNSUPPORTED_ASSIGNOR = 112, "The group does not support the assignor."
    STALE_MEMBER_EPOCH = 113, "The member's epoch is old; the next heartbeat brings the new one."
    MISMATCHED_ENDPOINT_TYPE = 114, "The request went to an endpoint of the wrong type."
    UNSUPPORTED_ENDPOINT_TYPE = 115, "This type of endpoint is not supported."
    UNKNOWN_CONTROLLER_ID = 116, "There is no controller with this id."
    UNKNOWN_SUBSCRIPTION_ID = 117, "The telemetry subscription is unknown or out of date."
    TELEMETRY_TOO_LARGE = 118, "The pushed telemetry is larger than the broker accepts."
    INVALID_REGISTRATION = 119, "The controller refuses the broker's registration."
    TRANSACTION_ABORTABLE = 120, "The transaction failed; abort it and go on."
    INVALID_RECORD_STATE = 121, "The record's delivery state does not allow the acknowledgement."
    SHARE_SESSION_NOT_FOUND = 122, "The broker keeps no such share session.", True
    INVALID_SHARE_SESSION_EPOCH = 123, "The share session's epoch is not the one expected.", True
    FENCED_STATE_EPOCH = 124, "The share group's state epoch does not match the coordinator's."
    INVALID_VOTER_KEY = 125, "The voter's key is not this replica's."
    DUPLICATE_VOTER = 126, "The voter is in the set already."
    VOTER_NOT_FOUND = 127, "The voter is not in the set."
    INVALID_REGULAR_EXPRESSION = 128, "The regular expression is not valid."
    REBOOTSTRAP_REQUIRED = (
        129,
        "The client's metadata is too old; start again from the bootstrap servers.",
    )
    STREAMS_INVALID_TOPOLOGY = 130, "The streams topology is not valid."
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131, "The epoch of the streams topology is not valid."
    STREAMS_TOPOLOGY_FENCED = 132, "The epoch of the streams topology is out of date."
    SHARE_SESSION_LIMIT_REACHED = 133, "The broker keeps as many share sessions as it may.", True


class ProtocolError(Exception):
    """A failure that has a Kafka error code.

    code: what goes on the wire.
    message: what went wrong, for people; the code's own meaning unless something better is known.
    """

    def __init__(self, code: ErrorCode, message: str | None = None) -> None:
        self.code = code
        self.message = code.message if message is None else message
        super().__init__(self.message)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code.name}, {self.message!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.code, self.message)


class Truncated(ProtocolError):  # noqa: N818 - a state of the bytes, as StopIteration is
    """The bytes end too early: with more of them, they might be a message."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_REQUEST, message)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message,)


class Malformed(ProtocolError):  # noqa: N818
    """The bytes cannot be a message, whatever may follow them."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_REQUEST, message)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message,)


class Unencodable(ProtocolError):  # noqa: N818
    """A message of ours has a value that its field cannot carry: a defect of the program."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.UNKNOWN_SERVER_ERROR, message)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message,)
