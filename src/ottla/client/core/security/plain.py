"""SASL PLAIN (RFC 4616): name and password as they are; only TLS keeps them from listeners."""

from __future__ import annotations


class PlainConversation:
    """Sends the credentials; the broker's answer is empty."""

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password

    def start(self) -> bytes:
        return b"\0".join((b"", self._username.encode(), self._password.encode()))

    def answer(self, challenge: bytes) -> bytes | None:
        return None
