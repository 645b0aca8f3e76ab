"""DescribeUserScramCredentials (key 50): which SCRAM credentials users have (KIP-554)."""

from __future__ import annotations

from ottla.wire.declare import Array, Int8, Int16, Int32, Message, String, at, message, struct


@struct
class UserToDescribe:
    """A user, by name."""

    name: String


@message(key=50, versions="0", flexible=0)
class DescribeUserScramCredentialsRequest(Message):
    """The users to describe."""

    users: Array[UserToDescribe] | None  # null or none: all


@struct
class CredentialInfo:
    """One credential's mechanism and cost."""

    mechanism: Int8  # 1: SCRAM-SHA-256, 2: SCRAM-SHA-512
    iterations: Int32


@struct
class DescribedUser:
    """One user's credentials."""

    user: String
    error_code: Int16
    error_message: String | None
    credential_infos: Array[CredentialInfo]


@message(key=50, versions="0", flexible=0)
class DescribeUserScramCredentialsResponse(Message):
    """The users' credentials, without their secrets."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None
    results: Array[DescribedUser]
