"""Many members of one consumer group in one process, on plain sockets and one selector.

As little as possible happens between an answer and the next request: the processor's time and the
clock shall go to the broker under measurement, not to its load.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from types import TracebackType

from bench.members import GroupError, Member
from ottla.testing.protocol import Connection
from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest
from ottla.wire.api.k12_heartbeat import HeartbeatRequest
from ottla.wire.api.k18_api_versions import ApiVersionsRequest
from ottla.wire.errors import ErrorCode
from ottla.wire.frames import encode_request

TIMEOUT_SECONDS = 60.0

_LENGTH = struct.Struct(">i")
_buffer = memoryview(bytearray(256 * 1024))
_FIND_COORDINATOR, _HEARTBEAT = 4, 4
_API_VERSIONS = encode_request(ApiVersionsRequest(), 0, correlation_id=1, client_id="bench")


class _Seat:
    """A member and its connection, one request at a time."""

    __slots__ = ("_received", "is_waiting", "member", "socket")

    def __init__(self, member: Member, address: tuple[str, int]) -> None:
        self.member = member
        self.socket = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_waiting = False
        """Whether an answer is due."""
        self._received = b""
        self.socket.setblocking(False)
        # As every client; and the broker has accepted the connection then.
        self.send(_API_VERSIONS)
        self.wait()

    def send(self, frame: bytes) -> None:
        # Requests are smaller than a send buffer, and there is never more than one in it.
        self.socket.sendall(frame)
        self.is_waiting = True

    def receive(self) -> bytes | None:
        """The answer, if all of it is there now."""
        count = self.socket.recv_into(_buffer)
        if not count:
            raise GroupError("the broker closed the connection")
        data = self._received + _buffer[:count]
        if len(data) < _LENGTH.size or len(data) < _LENGTH.size + _LENGTH.unpack_from(data)[0]:
            self._received = data
            return None
        self._received = b""
        self.is_waiting = False
        return data[_LENGTH.size :]

    def wait(self) -> bytes:
        """The answer, when it is there."""
        while select.select([self.socket], [], [], TIMEOUT_SECONDS)[0]:
            frame = self.receive()
            if frame is not None:
                return frame
        raise GroupError("the broker doesn't answer")


class Group:
    """Members that join at once; then one of them leaves.

    Args:
        kind: which protocol they speak.
        partitions: how many the topic has.
    """

    def __init__(
        self,
        kind: type[Member],
        address: tuple[str, int],
        group: str,
        topic: str,
        *,
        partitions: int,
        members: int,
    ) -> None:
        self._partitions = partitions
        self.exchanges = 0
        """How many requests were answered."""
        _await_coordinator(address, group)
        self._seats = [_Seat(kind(group, topic, partitions), address) for _ in range(members)]
        self._poll = select.epoll()
        self._by_descriptor = {seat.socket.fileno(): seat for seat in self._seats}
        for descriptor in self._by_descriptor:
            self._poll.register(descriptor, select.EPOLLIN)

    def __enter__(self) -> Group:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._poll.close()
        if error is None:
            self._dissolve()
        for seat in self._seats:
            seat.socket.close()

    def join(self) -> float:
        """Let all join; seconds until each has its share for good."""
        started = time.perf_counter()
        for seat in self._seats:
            seat.send(seat.member.begin())
        return self._settle(0) - started

    def leave(self) -> float:
        """Let one leave; seconds until the others have shared its partitions out."""
        self._rest()
        leaver = self._seats.pop()
        self._poll.unregister(leaver.socket)
        next_generation = leaver.member.generation + 1
        started = time.perf_counter()
        leaver.send(leaver.member.leave())
        leaver.wait()
        for seat in self._seats:
            seat.send(seat.member.beat())
        settled = self._settle(next_generation)
        leaver.socket.close()
        return settled - started

    def _settle(self, first_generation: int) -> float:
        """Let members go on until all is owned in one generation, this one or later; when it was.

        Raises:
            GroupError: a member failed, or it took too long.
        """
        deadline = time.perf_counter() + TIMEOUT_SECONDS
        poll, by_descriptor = self._poll.poll, self._by_descriptor
        resting: list[_Seat] = []
        while True:
            has_changed = False
            for descriptor, _ in poll(0) or _beat(resting) or poll(1.0):
                seat = by_descriptor[descriptor]
                frame = seat.receive()
                if frame is None:
                    continue
                self.exchanges += 1
                member = seat.member
                before = member.generation, member.partition_count
                request = member.answered(frame)
                if request is None:
                    resting.append(seat)
                else:
                    seat.send(request)
                has_changed = has_changed or before != (member.generation, member.partition_count)
            now = time.perf_counter()
            if has_changed and self._is_settled(first_generation):
                return now
            if now > deadline:
                raise GroupError(f"not settled within {TIMEOUT_SECONDS} s")

    def _is_settled(self, first_generation: int) -> bool:
        members = [seat.member for seat in self._seats]
        newest = members[0].generation
        # From the last on, which are the last to be heard: it is asked after nearly every answer.
        return (
            newest >= first_generation
            and all(member.generation == newest for member in reversed(members))
            and sum(member.partition_count for member in members) == self._partitions
        )

    def _dissolve(self) -> None:
        """Let all leave: members that just vanish are missed later, during another measurement."""
        self._rest()
        for seat in self._seats:
            seat.send(seat.member.leave())
            seat.wait()

    def _rest(self) -> None:
        """Await the answers that are still due: nobody has anything to do then."""
        for seat in self._seats:
            if seat.is_waiting:
                seat.member.answered(seat.wait())


def _beat(resting: list[_Seat]) -> list[tuple[int, int]]:
    """Let those send a heartbeat that have nothing else to do; no event of any socket."""
    for seat in resting:
        seat.send(seat.member.beat())
    resting.clear()
    return []


def _await_coordinator(address: tuple[str, int], group: str) -> None:
    """Kafka creates the offsets topic when first asked, and loads it some time later."""
    look_up = FindCoordinatorRequest(coordinator_keys=[group])
    stranger = HeartbeatRequest(group_id=group, generation_id=1, member_id="nobody")
    with Connection(f"{address[0]}:{address[1]}", timeout_seconds=TIMEOUT_SECONDS) as connection:
        error = ErrorCode.NOT_COORDINATOR
        while error != ErrorCode.UNKNOWN_MEMBER_ID:
            connection.ask(look_up, _FIND_COORDINATOR)
            error = connection.ask(stranger, _HEARTBEAT).error_code
