"""A server that answers every request with the same bytes: how fast the load generator can be."""

from __future__ import annotations

import os
import select
import signal
import socket

from bench.arena import Arena
from bench.load import Connections
from bench.peers import placed_here
from bench.requests import ReplyShape

_REQUEST = b"\0\0\0\xcf" + bytes(207)
_REPLY = b"\0\0\0\x31" + bytes(49)
_RECEIVE_BYTES = 64 * 1024


def canned_replies_per_second(arena: Arena, *, connections: int, in_flight: int) -> float:
    """Small requests per second against a server that only counts their bytes."""
    shape = ReplyShape(len(_REPLY), (18, 19))
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        child = os.fork()
        if not child:
            _serve_until_killed(server, arena.server_cores)
        try:
            with placed_here(arena.load_cores):
                address = server.getsockname()
                with Connections(
                    address, [_REQUEST], shape, connections=connections, in_flight=in_flight
                ) as load:
                    return load.closed_loop(seconds=arena.effort.seconds).per_second
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _serve_until_killed(server: socket.socket, cores: set[int]) -> None:
    os.sched_setaffinity(0, cores)
    poll = select.epoll()
    poll.register(server, select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    received: dict[int, int] = {}
    try:
        while True:
            for descriptor, _ in poll.poll():
                client = clients.get(descriptor)
                if client is None:
                    client, _ = server.accept()
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    poll.register(client, select.EPOLLIN)
                    clients[client.fileno()] = client
                    received[client.fileno()] = 0
                    continue
                data = client.recv(_RECEIVE_BYTES)
                if not data:
                    poll.unregister(client)
                    clients.pop(descriptor).close()
                    continue
                count, received[descriptor] = divmod(
                    received[descriptor] + len(data), len(_REQUEST)
                )
                if count:
                    client.sendall(_REPLY * count)
    finally:
        os._exit(0)
