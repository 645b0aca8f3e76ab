"""Connections by hand: where they go."""

from __future__ import annotations

import socket

import pytest

from ottla.testing.protocol import Connection


@pytest.mark.parametrize(
    ("family", "host", "written"),
    [(socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "[::1]")],
)
def test_a_connection_goes_to_the_address_written_as_clients_write_it(
    family: socket.AddressFamily, host: str, written: str
) -> None:
    with socket.socket(family) as listener:
        try:
            listener.bind((host, 0))
        except OSError as error:
            pytest.skip(f"this machine has no {host}: {error}")
        listener.listen()
        port = listener.getsockname()[1]
        with Connection(f"{written}:{port}", timeout_seconds=5):
            accepted, _ = listener.accept()
            accepted.close()
