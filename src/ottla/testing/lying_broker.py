"""A broker that lies: a proxy that passes requests on and falsifies the answers.

    with LyingBroker(Random(1)) as proxy, BrokerProcess(settings=proxy.broker_settings) as broker:
        proxy.target = broker.port
        proxy.lies_about = {FETCH}          # and honest again with set()

How an answer is falsified follows from the random numbers and from how many answers there were;
which answers there are depends on the client.
"""

from __future__ import annotations

import socket
import struct
import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Set
from contextlib import suppress
from random import Random
from types import TracebackType
from typing import Any, Self

from ottla.wire.apis import API_VERSIONS, APIS, declaration
from ottla.wire.declare import Message, Struct
from ottla.wire.errors import ProtocolError

_SIZE = struct.Struct(">i")
_REQUEST_START = struct.Struct(">ihhi")
_CORRELATION_BYTES = 4
_EDGES = (-(2**63), -(2**31), -(2**15), -2, -1, 0, 1, 2, 77, 2**15 - 1, 2**31 - 1, 2**63 - 1)
_HUGE_COUNTS = (0x7FFFFFFF, 0x40000000, 0xFFFFFFFF, 0x80000000, 0x00FFFFFF)
_STRANGE_TEXTS = ("", "\0", "é" * 300, "..", "x" * 32_000)
_MOST_FIELDS = 4
# Who has heard of an epoch takes what is older for stale, as every client of Kafka does.
_BELIEVED = "leader_epoch"
# A client may be told to wait, but not for longer than a test has time.
_SHORT_TIMES = (-(2**31), -1, 0, 1, 20)

Frame = bytes
Lie = Callable[[Random, int, int, bytes], Frame]


class LyingBroker:
    """Listens on a free port, connects each client to the true broker, and lies when told to.

    Args:
        random: chooses the lies.
        honesty: the share of answers that are passed on as they are.

    Attributes:
        target: the true broker's port.
        lies_about: the keys of the APIs whose answers are falsified.
        told: how many lies were told, by API key.
    """

    def __init__(self, random: Random, *, honesty: float = 0.3) -> None:
        self.target = 0
        self.lies_about: Set[int] = frozenset()
        self.told: Counter[int] = Counter()
        self._random = random
        self._honesty = honesty
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def bootstrap_servers(self) -> str:
        """``host:port`` of it."""
        return f"127.0.0.1:{self.port}"

    @property
    def broker_settings(self) -> dict[str, str]:
        """What makes the true broker send its clients here."""
        return {"advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}"}

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            for each in self._sockets:
                _hang_up(each)
        for thread in self._threads:
            thread.join(10)

    def _spawn(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                # It is down; perhaps not for the next.
                client.close()
                continue
            with self._lock:
                self._sockets += (client, broker)
            asked: deque[tuple[int, int]] = deque()
            self._spawn(self._pass, client, broker, lambda frame, to=asked: _note(frame, to))
            self._spawn(self._pass, broker, client, lambda frame, to=asked: self._answer(frame, to))

    def _pass(
        self, source: socket.socket, sink: socket.socket, change: Callable[[bytes], Frame]
    ) -> None:
        """Carry frames from one side to the other until either hangs up."""
        with suppress(OSError, ValueError), source.makefile("rb") as stream:
            while len(start := stream.read(_SIZE.size)) == _SIZE.size:
                body = stream.read(_SIZE.unpack(start)[0])
                sink.sendall(change(body))
        _hang_up(source)
        _hang_up(sink)

    def _answer(self, body: bytes, asked: deque[tuple[int, int]]) -> Frame:
        key, version = asked.popleft()
        with self._lock:
            honest = _framed(body)
            if key not in self.lies_about or self._random.random() < self._honesty:
                return honest
            self.told[key] += 1
            return self._random.choice(LIES)(self._random, key, version, body)


def _note(body: bytes, asked: deque[tuple[int, int]]) -> Frame:
    key, version = struct.unpack_from(">hh", body)
    # acks=0 is the only request without an answer.
    if not (key == 0 and _has_no_answer(body, version)):
        asked.append((key, version))
    return _framed(body)


def _has_no_answer(body: bytes, version: int) -> bool:
    request = declaration(0)[0]
    position = 8
    (client_id_length,) = struct.unpack_from(">h", body, position)
    position += 2 + max(client_id_length, 0)
    if APIS[0].is_flexible(version):
        position += 1
    asked: Any = request.decode(body[position:], version)
    return bool(asked.acks == 0)


def _framed(body: bytes, size: int | None = None) -> Frame:
    return _SIZE.pack(len(body) if size is None else size) + body


def _hang_up(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


# Lies about bytes


def _cut(random: Random, _: int, __: int, body: bytes) -> Frame:
    return _framed(body[: random.randrange(_CORRELATION_BYTES, len(body) + 1)])


def _wrong_length(random: Random, _: int, __: int, body: bytes) -> Frame:
    sizes = (-1, 0, 3, -(2**31), 2**31 - 1, 200_000_000, len(body) - 1, len(body) + 1)
    return _framed(body, random.choice(sizes))


def _wrong_correlation_id(random: Random, _: int, __: int, body: bytes) -> Frame:
    (number,) = _SIZE.unpack_from(body)
    other = random.choice([number + 1, number - 1, 0, -1, 2**31 - 1])
    return _framed((other & 0xFFFFFFFF).to_bytes(4, "big") + body[_CORRELATION_BYTES:])


def _damaged(random: Random, _: int, __: int, body: bytes) -> Frame:
    changed = bytearray(body)
    for _number in range(random.choice([1, 2, 5, 20])):
        at = random.randrange(_CORRELATION_BYTES, len(changed) + 1)
        match random.randrange(4):
            case 0:
                changed[at : at + 1] = bytes([random.choice([0, 1, 0x7F, 0x80, 0xFF])])
            case 1:
                changed[at : at + 4] = random.choice(_HUGE_COUNTS).to_bytes(4, "big")
            case 2:
                changed[at:at] = random.randbytes(random.randrange(1, 40))
            case _:
                del changed[at : at + random.randrange(1, 8)]
    return _framed(bytes(changed))


def _twice(_: Random, __: int, ___: int, body: bytes) -> Frame:
    return _framed(body) * 2


def _nothing(_: Random, __: int, ___: int, ____: bytes) -> Frame:
    return b""


# Lies in good form


def _false(random: Random, key: int, version: int, body: bytes) -> Frame:
    """The answer, with some of what it says replaced by something else of the same type."""
    answer = declaration(key)[1]
    start = _CORRELATION_BYTES
    if key != API_VERSIONS and APIS[key].is_flexible(version):
        start += 1
    try:
        message: Message = answer.decode(body[start:], version)
        places = list(_places(message))
        for _ in range(random.randrange(1, _MOST_FIELDS + 1)):
            owner, name = random.choice(places)
            _replace(random, owner, name)
        changed = message.encode(version)
    except (ProtocolError, ValueError, OverflowError, TypeError, struct.error):
        # It can't be said in this version.
        return _damaged(random, key, version, body)
    return _framed(body[:start] + changed)


def _places(message: Struct) -> list[tuple[Any, Any]]:
    """Where something stands in a message: an object and a field's name, a list and an index."""
    found: list[tuple[Any, Any]] = []
    for name in message.__slots__:
        value = getattr(message, name)
        if not name.endswith(_BELIEVED):
            found.append((message, name))
        if isinstance(value, Struct):
            found += _places(value)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                found += _places(each) if isinstance(each, Struct) else [(value, index)]
    return found


def _replace(random: Random, owner: Any, name: Any) -> None:
    is_item = isinstance(owner, list)
    if is_item and name >= len(owner):
        return
    old = owner[name] if is_item else getattr(owner, name)
    is_time = not is_item and name.endswith("_ms")
    new = random.choice(_SHORT_TIMES) if is_time else _other(random, old)
    if is_item:
        owner[name] = new
    else:
        setattr(owner, name, new)


def _other(random: Random, old: Any) -> Any:
    if isinstance(old, bool):
        return not old
    if isinstance(old, int):
        return random.choice([*_EDGES, old + 1, old - 1])
    if isinstance(old, str):
        return random.choice([*_STRANGE_TEXTS, old + "x"])
    if isinstance(old, bytes | memoryview):
        return random.choice(
            [b"", random.randbytes(50), bytes(old)[: len(old) // 2], bytes(old) * 2]
        )
    if isinstance(old, uuid.UUID):
        return uuid.UUID(int=random.choice([0, 1, 2**127]))
    if isinstance(old, list):
        return random.choice([[], old * 2, old[::-1], old[:1], old * 50])
    return old


LIES: tuple[Lie, ...] = (
    _cut, _wrong_length, _wrong_correlation_id, _damaged, _twice, _nothing,
    _false, _false, _false, _false, _false, _false,
)  # fmt: skip
"""Every way of falsifying an answer, those in good form more often."""
