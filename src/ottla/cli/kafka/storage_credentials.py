"""The credentials that ``kafka-storage format --add-scram`` puts into a new cluster."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable
from typing import Final

from ottla.cli.kafka.failures import ToolFailure
from ottla.wire.metadata_records import UserScramCredentialRecord

# Mechanism -> its number in Kafka's records, and its hash.
_MECHANISMS: Final = {"SCRAM-SHA-256": (1, "sha256"), "SCRAM-SHA-512": (2, "sha512")}
_DEFAULT_ITERATIONS: Final = 4096
_MOST_ITERATIONS: Final = 16384
_SALT_BYTES: Final = 24


def credentials(arguments: Iterable[str]) -> list[UserScramCredentialRecord]:
    """The records of ``SCRAM-SHA-256=[name=alice,password=…]`` and the like.

    Besides ``name`` there are ``iterations`` and ``salt``, and instead of ``password`` there may be
    ``saltedpassword`` (both in base64).

    Raises:
        ToolFailure: an argument makes no sense.
    """
    return [_credential(argument.strip()) for argument in arguments]


def _credential(argument: str) -> UserScramCredentialRecord:
    mechanism, equals, text = argument.partition("=")
    if not equals:
        raise ToolFailure(f"Failed to find equals sign in SCRAM argument '{argument}'")
    if mechanism not in _MECHANISMS:
        raise ToolFailure(f"The add-scram mechanism {mechanism} is not supported.")
    for edge, is_there in (("start with [", text[:1] == "["), ("end with ]", text[-1:] == "]")):
        if not is_there:
            raise ToolFailure(f"Expected configuration string to {edge}")
    fields = dict(_field(each) for each in text[1:-1].split(","))
    name = fields.pop("name", None)
    if name is None:
        raise ToolFailure("You must supply 'name' to add-scram")
    given_salt = fields.pop("salt", None)
    salt = os.urandom(_SALT_BYTES) if given_salt is None else _decoded(given_salt, "salt")
    iterations = _iterations(fields.pop("iterations", None), mechanism)
    number, algorithm = _MECHANISMS[mechanism]
    password, salted_text = fields.pop("password", None), fields.pop("saltedpassword", None)
    if password is not None:
        salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), salt, iterations)
    elif salted_text is None:
        raise ToolFailure("You must supply one of 'password' or 'saltedpassword' to add-scram")
    elif given_salt is None:
        raise ToolFailure("You must supply 'salt' with 'saltedpassword' to add-scram")
    else:
        salted = _decoded(salted_text, "saltedPassword")
    if fields:
        raise ToolFailure(f"Unknown SCRAM configurations: {', '.join(sorted(fields))}")
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    return UserScramCredentialRecord(
        name=name,
        mechanism=number,
        salt=salt,
        stored_key=hashlib.new(algorithm, client_key).digest(),
        server_key=hmac.digest(salted, b"Server Key", algorithm),
        iterations=iterations,
    )


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ToolFailure(f"No equals sign found in SCRAM component: {text}")
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return name, value


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        # A salted password is as good as the password: it isn't shown.
        shown = f": {text}" if what == "salt" else ""
        raise ToolFailure(f"Failed to decode given {what}{shown}") from None


def _iterations(text: str | None, mechanism: str) -> int:
    if text is None:
        return _DEFAULT_ITERATIONS
    try:
        iterations = int(text)
    except ValueError:
        raise ToolFailure(f"Failed to parse iterations count: {text}") from None
    java_name = mechanism.replace("-", "_")
    if iterations < _DEFAULT_ITERATIONS:
        bound = f">= {_DEFAULT_ITERATIONS}"
    elif iterations > _MOST_ITERATIONS:
        bound = f"<= {_MOST_ITERATIONS}"
    else:
        return iterations
    raise ToolFailure(f"The 'iterations' value must be {bound} for add-scram using {java_name}")
