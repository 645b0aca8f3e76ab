"""The two ends of a simulated connection, as asyncio's protocols see them."""

from __future__ import annotations

import asyncio
import contextvars
import errno
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ottla.ports.net import Address

if TYPE_CHECKING:
    from ottla.testing.simulation.net import SimulatedNetwork

# What the two systems' socket buffers take before the writer's own buffer grows.
_WINDOW_BYTES = 64 * 1024
_MAX_READ_BYTES = 64 * 1024
_DEFAULT_HIGH_WATER_BYTES = 64 * 1024
# One write in this many is cut into two packets, so that readers meet messages in pieces.
_CUT_ONE_IN = 3
# Arrivals of one direction keep their order through a heap that doesn't keep ties'.
_TICK_S = 1e-9


def connect_pair(
    network: SimulatedNetwork, client: Address, server: Address
) -> tuple[SimulatedTransport, SimulatedTransport]:
    """Two ends joined, neither open yet."""
    ends = SimulatedTransport(network, client, server), SimulatedTransport(network, server, client)
    ends[0].peer, ends[1].peer = ends[1], ends[0]
    return ends


class SimulatedTransport(asyncio.Transport):
    """One end. ``peer`` is the other; what is under way *to* this end is kept here."""

    peer: SimulatedTransport

    def __init__(self, network: SimulatedNetwork, own: Address, other: Address) -> None:
        super().__init__({"sockname": tuple(own), "peername": tuple(other)})
        self.host = own.host
        self.is_lost = False
        self._network = network
        self._loop = network.loop
        self._protocol: asyncio.BaseProtocol | None = None
        self._closing = False
        self._reading = True
        self._eof_written = False
        self._eof_received = False
        # Towards this end: packets under way (None is the end of the stream), then bytes arrived.
        self._under_way: deque[bytes | None] = deque()
        self._under_way_bytes = 0
        self._held = 0
        self._arrived = bytearray()
        self._last_arrival = 0.0
        self._writing_paused = False
        # The protocol's code runs in its own process, not in that of whoever sent the bytes.
        self._context = contextvars.copy_context()
        self.set_write_buffer_limits()

    def open(self, protocol: asyncio.BaseProtocol, *, earliest_arrival: float) -> None:
        """Attach the protocol; its peer sees nothing from here before ``earliest_arrival``."""
        self._protocol = protocol
        self._context = contextvars.copy_context()
        self.peer._last_arrival = max(self.peer._last_arrival, earliest_arrival)
        self._call(protocol.connection_made, self)
        self._deliver()

    # Writing

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        packet = bytes(data)
        random = self._loop.random
        if len(packet) > 1 and random.randrange(_CUT_ONE_IN) == 0:
            cut = random.randrange(1, len(packet))
            self.peer._send(packet[:cut])
            packet = packet[cut:]
        self.peer._send(packet)
        self._check_high_water()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not (self._closing or self._eof_written):
            self._eof_written = True
            self.peer._send(None)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = _DEFAULT_HIGH_WATER_BYTES if low is None else 4 * low
        self._high_water = high
        self._low_water = high // 4 if low is None else low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low_water, self._high_water

    def get_write_buffer_size(self) -> int:
        """Bytes the other side's system has not taken yet."""
        return max(0, self.peer._waiting_bytes() - _WINDOW_BYTES)

    def _check_high_water(self) -> None:
        if not self._writing_paused and self.get_write_buffer_size() > self._high_water:
            self._writing_paused = True
            assert self._protocol is not None
            self._call(self._protocol.pause_writing)

    def _buffer_drained(self) -> None:
        """The peer has read something."""
        size = self.get_write_buffer_size()
        if self._writing_paused and size <= self._low_water and not self.is_lost:
            self._writing_paused = False
            assert self._protocol is not None
            self._call(self._protocol.resume_writing)
        if self._closing and size == 0:
            self._finish_close()

    # Reading

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._loop.call_soon(self._deliver, context=self._network.context)

    def _waiting_bytes(self) -> int:
        return 0 if self.is_lost else len(self._arrived) + self._under_way_bytes

    def _send(self, packet: bytes | None) -> None:
        self._under_way.append(packet)
        self._under_way_bytes += len(packet or b"")
        self._schedule_arrival()

    def _schedule_arrival(self) -> None:
        self._last_arrival = max(
            self._loop.time() + self._network.latency(), self._last_arrival + _TICK_S
        )
        self._loop.call_at(self._last_arrival, self._arrive, context=self._network.context)

    def resume_arrivals(self) -> None:
        """Send again what a partition has held."""
        for _ in range(self._held):
            self._schedule_arrival()
        self._held = 0

    def _arrive(self) -> None:
        if self.is_lost:
            self._refuse()
            return
        if not self._network.reachable(self.host, self.peer.host):
            self._held += 1
            return
        if not self._under_way:
            return
        packet = self._under_way.popleft()
        if packet is None:
            self._eof_received = True
        else:
            self._under_way_bytes -= len(packet)
            self._arrived += packet
        self._deliver()

    def _refuse(self) -> None:
        # Data for a socket that is gone is answered with a reset.
        lost = bool(self._under_way) and self._under_way.popleft() is not None
        if lost and not self.peer.is_lost:
            reset = ConnectionResetError(errno.ECONNRESET, "the other side has closed")
            self._break_off_peer(reset)

    def _deliver(self) -> None:
        while self._arrived and self.is_reading() and self._protocol is not None:
            self._call(self._hand_over, self._protocol)
            self.peer._buffer_drained()
        if self._eof_received and not self._arrived and self.is_reading() and self._protocol:
            self._eof_received = False
            keep_open = self._call(self._end_of_stream)
            if not keep_open:
                self.close()

    def _hand_over(self, protocol: asyncio.BaseProtocol) -> None:
        if isinstance(protocol, asyncio.BufferedProtocol):
            view = memoryview(protocol.get_buffer(-1)).cast("B")
            if not view:
                raise RuntimeError("get_buffer() returned an empty buffer")
            size_bytes = min(len(view), len(self._arrived))
            view[:size_bytes] = self._arrived[:size_bytes]
            view.release()
            del self._arrived[:size_bytes]
            protocol.buffer_updated(size_bytes)
        else:
            assert isinstance(protocol, asyncio.Protocol)
            data = bytes(self._arrived[:_MAX_READ_BYTES])
            del self._arrived[: len(data)]
            protocol.data_received(data)

    def _end_of_stream(self) -> bool | None:
        assert isinstance(self._protocol, asyncio.Protocol | asyncio.BufferedProtocol)
        return self._protocol.eof_received()

    # Closing

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """End the stream after what was written; the protocol hears once the system has it all."""
        if self._closing:
            return
        if not self._eof_written:
            self.peer._send(None)
        self._closing = True
        if self.get_write_buffer_size() == 0:
            self._finish_close()

    def abort(self) -> None:
        """Close at once; the other side is reset and what was written may be lost."""
        if self.is_lost:
            return
        self.break_off(None)
        reset = ConnectionResetError(errno.ECONNRESET, "the other side aborted")
        self._break_off_peer(reset)

    def _break_off_peer(self, reset: ConnectionResetError) -> None:
        self._loop.call_later(
            self._network.latency(), self.peer.break_off, reset, context=self._network.context
        )

    def break_off(self, reason: Exception | None) -> None:
        """End this side now, losing what is under way to it."""
        self._under_way.clear()
        self._under_way_bytes = 0
        self._held = 0
        self._closing = True
        self._finish_close(reason)

    def _finish_close(self, reason: Exception | None = None) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        self._arrived.clear()
        self._loop.call_soon(self.peer._buffer_drained, context=self._network.context)
        if self._protocol is not None:
            self._loop.call_soon(
                self._protocol.connection_lost, reason, context=self._context.copy()
            )

    def _call(self, callback: Any, *arguments: Any) -> Any:
        """Call into the protocol; what it raises ends the connection, as in asyncio."""
        try:
            return self._context.copy().run(callback, *arguments)
        except Exception as error:
            self._loop.call_exception_handler(
                {
                    "message": "Fatal error: a protocol's callback failed",
                    "exception": error,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
            self.break_off(error)
            reset = ConnectionResetError(errno.ECONNRESET, "the other side failed")
            self._break_off_peer(reset)
            return None
