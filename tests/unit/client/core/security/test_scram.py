"""SCRAM's conversation, against a broker that knows the password, and against impostors."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from ottla.client.core.security.scram import HASHES, ScramConversation
from ottla.client.errors import KafkaError, KafkaException

SALT = b"salt and pepper"
ITERATIONS = 4096


class Server:
    """The other side: knows the keys that RFC 5802 derives from the password."""

    def __init__(self, mechanism: str, password: str, iterations: int = ITERATIONS) -> None:
        self.hash = HASHES[mechanism]
        self.iterations = iterations
        self.salted = hashlib.pbkdf2_hmac(self.hash, password.encode(), SALT, iterations)
        self.messages: list[str] = []

    def challenge(self, first: bytes) -> bytes:
        assert first.startswith(b"n,,")
        bare = first[3:].decode()
        nonce = bare.partition(",r=")[2]
        challenge = f"r={nonce}tail,s={base64.b64encode(SALT).decode()},i={self.iterations}"
        self.messages = [bare, challenge]
        return challenge.encode()

    def verify(self, final: bytes) -> bytes:
        without_proof, _, proof = final.decode().rpartition(",p=")
        message = ",".join([*self.messages, without_proof]).encode()
        client_key = hmac.digest(self.salted, b"Client Key", self.hash)
        stored = hashlib.new(self.hash, client_key).digest()
        signature = hmac.digest(stored, message, self.hash)
        given = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        if given != client_key:
            return b"e=invalid-proof"
        server_key = hmac.digest(self.salted, b"Server Key", self.hash)
        return b"v=" + base64.b64encode(hmac.digest(server_key, message, self.hash))


@pytest.mark.parametrize("mechanism", HASHES)
@pytest.mark.parametrize("user", ["anna", "a,b=c", "ünal"])
def test_both_sides_are_convinced(mechanism: str, user: str) -> None:
    server = Server(mechanism, "pass,word=")
    conversation = ScramConversation(mechanism, user, "pass,word=", "nonce")
    final = conversation.answer(server.challenge(conversation.start()))
    assert final is not None
    assert conversation.answer(server.verify(final)) is None
    assert b"pass" not in final


def test_names_are_escaped() -> None:
    conversation = ScramConversation("SCRAM-SHA-256", "a,b=c", "p", "nonce")
    assert conversation.start() == b"n,,n=a=2Cb=3Dc,r=nonce"


def refusal(conversation: ScramConversation, *challenges: bytes) -> str:
    conversation.start()
    for challenge in challenges[:-1]:
        conversation.answer(challenge)
    with pytest.raises(KafkaException) as raised:
        conversation.answer(challenges[-1])
    error = raised.value.args[0]
    assert error == KafkaError._AUTHENTICATION
    return str(error.str())


def test_a_wrong_password_is_refused_by_the_broker() -> None:
    server = Server("SCRAM-SHA-256", "right")
    conversation = ScramConversation("SCRAM-SHA-256", "anna", "wrong", "nonce")
    challenge = server.challenge(conversation.start())
    final = conversation.answer(challenge)
    assert final is not None
    with pytest.raises(KafkaException, match="invalid-proof"):
        conversation.answer(server.verify(final))


def test_a_broker_that_does_not_know_the_password_is_an_impostor() -> None:
    conversation = ScramConversation("SCRAM-SHA-256", "anna", "secret", "nonce")
    server = Server("SCRAM-SHA-256", "guess")
    signature = base64.b64encode(b"x" * 32)
    for final in (b"v=" + signature, b"v=", b"x=1"):
        conversation = ScramConversation("SCRAM-SHA-256", "anna", "secret", "nonce")
        challenge = server.challenge(conversation.start())
        assert "impostor" in refusal(conversation, challenge, final)


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"nonsense",
        b"\xff\xfe",
        b"r=other,s=c2FsdA==,i=4096",
        b"r=nonce,s=c2FsdA==,i=4096",
        b"r=nonce1,s=c2FsdA==,i=1",
        b"r=nonce1,s=c2FsdA==,i=999999999999",
        b"r=nonce1,s=c2FsdA==,i=many",
        b"r=nonce1,s=!!!,i=4096",
        b"r=nonce1,i=4096",
        b"m=ext,r=nonce1,s=c2FsdA==,i=4096",
        b"r=nonce1" + b"x" * 5000 + b",s=c2FsdA==,i=4096",
    ],
)
def test_challenges_that_make_no_sense(challenge: bytes) -> None:
    assert refusal(ScramConversation("SCRAM-SHA-256", "anna", "secret", "nonce"), challenge)


def test_nothing_is_said_after_the_end() -> None:
    server = Server("SCRAM-SHA-512", "secret")
    conversation = ScramConversation("SCRAM-SHA-512", "anna", "secret", "nonce")
    final = conversation.answer(server.challenge(conversation.start()))
    assert final is not None
    signature = server.verify(final)
    conversation.answer(signature)
    with pytest.raises(KafkaException):
        conversation.answer(signature)
