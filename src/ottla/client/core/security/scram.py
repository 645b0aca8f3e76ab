"""SASL SCRAM (RFC 5802, RFC 7677): both sides prove that they know the password, and tell it not.

Kafka takes names and passwords as UTF-8 without normalizing them, and so does this.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from ottla.client.core.security.conversation import refused

HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
# RFC 7677 asks for no fewer; more than the upper limit would keep the client busy for seconds.
_MIN_ITERATIONS = 4096
_MAX_ITERATIONS = 1_000_000
# No channel binding: what the final message repeats of the header "n,,".
_NO_BINDING = "biws"
_MAX_MESSAGE_BYTES = 4096


class ScramConversation:
    """The three messages of the client's side, and the check of the broker's proof.

    Args:
        mechanism: one of :data:`HASHES`.
        username: the user.
        password: the secret.
        nonce: unguessable text without commas, fresh for every conversation.
    """

    def __init__(self, mechanism: str, username: str, password: str, nonce: str) -> None:
        self._hash = HASHES[mechanism]
        self._password = password
        self._nonce = nonce
        name = username.replace("=", "=3D").replace(",", "=2C")
        self._first_bare = f"n={name},r={nonce}"
        self._expected_signature: bytes | None = None
        self._is_done = False

    def start(self) -> bytes:
        return f"n,,{self._first_bare}".encode()

    def answer(self, challenge: bytes) -> bytes | None:
        if self._is_done or len(challenge) > _MAX_MESSAGE_BYTES:
            raise refused("SASL SCRAM: the broker said more than it should")
        try:
            text = challenge.decode()
        except UnicodeDecodeError:
            raise refused("SASL SCRAM: the broker's message is no UTF-8") from None
        if self._expected_signature is None:
            return self._prove(text)
        self._check(text)
        self._is_done = True
        return None

    def _prove(self, server_first: str) -> bytes:
        fields = _fields(server_first)
        nonce, salt, iterations = _challenge(fields)
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise refused("SASL SCRAM: the broker's nonce does not continue ours")
        if not _MIN_ITERATIONS <= iterations <= _MAX_ITERATIONS:
            raise refused(f"SASL SCRAM: the broker asks for {iterations} iterations")
        salted = hashlib.pbkdf2_hmac(self._hash, self._password.encode(), salt, iterations)
        client_key = self._hmac(salted, b"Client Key")
        stored_key = hashlib.new(self._hash, client_key).digest()
        without_proof = f"c={_NO_BINDING},r={nonce}"
        message = f"{self._first_bare},{server_first},{without_proof}".encode()
        signature = self._hmac(stored_key, message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._expected_signature = self._hmac(self._hmac(salted, b"Server Key"), message)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def _check(self, server_final: str) -> None:
        fields = _fields(server_final)
        if "e" in fields:
            raise refused(f"SASL SCRAM: the broker refused: {fields['e']}")
        assert self._expected_signature is not None
        if not hmac.compare_digest(_decode(fields.get("v", "")), self._expected_signature):
            raise refused("SASL SCRAM: the broker does not know the password: it is an impostor")

    def _hmac(self, key: bytes, message: bytes) -> bytes:
        return hmac.digest(key, message, self._hash)


def _fields(message: str) -> dict[str, str]:
    """The message's fields; of one that comes twice the first."""
    fields: dict[str, str] = {}
    for part in message.split(","):
        name, is_field, value = part.partition("=")
        if not is_field or len(name) != 1:
            raise refused("SASL SCRAM: the broker's message makes no sense")
        fields.setdefault(name, value)
    return fields


def _challenge(fields: dict[str, str]) -> tuple[str, bytes, int]:
    if "m" in fields:
        raise refused("SASL SCRAM: the broker wants an extension that is not known")
    iterations = fields.get("i", "")
    if not ("r" in fields and "s" in fields and iterations.isascii() and iterations.isdigit()):
        raise refused("SASL SCRAM: the broker's challenge is not complete")
    return fields["r"], _decode(fields["s"]), int(iterations[:9])


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise refused("SASL SCRAM: the broker's message is no base64") from None
