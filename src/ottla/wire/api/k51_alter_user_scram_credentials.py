"""AlterUserScramCredentials (key 51): set and delete SCRAM credentials (KIP-554)."""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Bytes,
    Int8,
    Int16,
    Int32,
    Message,
    String,
    at,
    message,
    struct,
)


@struct
class CredentialToDelete:
    """A user's credential to delete."""

    name: String
    mechanism: Int8  # 1: SCRAM-SHA-256, 2: SCRAM-SHA-512


@struct
class CredentialToSet:
    """A user's credential to set; the password comes salted."""

    name: String
    mechanism: Int8  # 1: SCRAM-SHA-256, 2: SCRAM-SHA-512
    iterations: Int32
    salt: Bytes
    salted_password: Bytes


@message(key=51, versions="0", flexible=0)
class AlterUserScramCredentialsRequest(Message):
    """The credentials to delete and to set."""

    deletions: Array[CredentialToDelete]
    upsertions: Array[CredentialToSet]


@struct
class AlteredUser:
    """What became of one user."""

    user: String
    error_code: Int16
    error_message: String | None


@message(key=51, versions="0", flexible=0)
class AlterUserScramCredentialsResponse(Message):
    """What became of each user."""

    throttle_time_ms: Int32 = at(default=0)
    results: Array[AlteredUser]
