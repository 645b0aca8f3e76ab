"""One kind of request about some items, asked again and again until each item has its result.

A ``Call`` is data: the items, a route (who is asked about which), how a request is made and how its
answer is read. ``Progress`` plans what to ask now and takes the answers; who runs it owns the clock
and the connections. An ``Operation`` is a generator of calls, for what takes more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from functools import wraps
from typing import Any, Generic, NamedTuple, ParamSpec, TypeAlias, TypeVar

from ottla.client.core.admin.routes import Request, Route
from ottla.client.core.backoff import Backoff
from ottla.client.core.reachability import UNREACHABLE
from ottla.client.core.targets import Target
from ottla.client.errors import KafkaError, KafkaException
from ottla.wire.declare import Message
from ottla.wire.errors import ErrorCode

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")
P = ParamSpec("P")

Outcomes: TypeAlias = "dict[K, V | KafkaError]"
Operation: TypeAlias = Generator["Call[Any, Any]", Any, T]

# The broker is not, or not yet, the one to ask: it says nothing about the item.
RETRIED: frozenset[int] = frozenset(
    {
        ErrorCode.NOT_CONTROLLER,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.OFFSET_NOT_AVAILABLE,
        ErrorCode.BROKER_NOT_AVAILABLE,
        ErrorCode.THROTTLING_QUOTA_EXCEEDED,
    }
)
# The question did not reach a broker that could answer it: another try may.
_LOST = UNREACHABLE | {KafkaError._ALL_BROKERS_DOWN, KafkaError._WAIT_COORD}


class Call(Generic[K, V]):
    """Requests about some items.

    Args:
        keys: the items; a second mention of one changes nothing.
        route: who is asked about which item.
        request: the message about some of the items, or what makes it for a version.
        answer: the class of the answer.
        read: what an answer says about which of the items it was asked about. An answer that is an
            error as a whole raises it (as ``KafkaException``); items that it should name and does
            not are errors too.
        at_least: the first version that can say what is to be said.
        at_most: the last one.
        retried: codes after which an item is asked about again.
    """

    __slots__ = ("answer", "at_least", "at_most", "keys", "read", "request", "retried", "route")

    def __init__(
        self,
        keys: Iterable[K],
        route: Route[K],
        request: Callable[[Sequence[K]], Request],
        answer: type[Message],
        read: Callable[[Any, Sequence[K]], Iterable[tuple[K, V | KafkaError]]],
        *,
        at_least: int = 0,
        at_most: int | None = None,
        retried: Collection[int] = RETRIED,
    ) -> None:
        self.keys = tuple(dict.fromkeys(keys))
        self.route = route
        self.request = request
        self.answer = answer
        self.read = read
        self.at_least = at_least
        self.at_most = at_most
        self.retried = retried


class Ask(NamedTuple):
    """A request to send, and the items it is about."""

    target: Target
    keys: tuple[Any, ...]
    request: Request
    answer: type[Message]
    at_least: int = 0
    at_most: int | None = None
    is_lookup: bool = False


class Progress(Generic[K, V]):
    """How far a call is.

    Args:
        call: the call.
        first_backoff_ms: how long to wait before what failed is tried again.
        max_backoff_ms: how long at most, after many failures.

    Attributes:
        results: the outcomes so far.
        is_misrouted: since it was last set to False, an answer showed that what is known of the
            cluster is out of date.
    """

    __slots__ = ("_asking", "_backoff", "_call", "_waiting", "is_misrouted", "results")

    def __init__(self, call: Call[K, V], first_backoff_ms: float, max_backoff_ms: float) -> None:
        self.results: Outcomes[K, V] = {}
        self.is_misrouted = False
        self._call = call
        self._backoff = Backoff(first_backoff_ms, max_backoff_ms)
        self._waiting: dict[K, None] = dict.fromkeys(call.keys)
        self._asking: list[Ask] = []

    @property
    def is_done(self) -> bool:
        """Whether every item has its outcome."""
        return not self._waiting and not self._asking

    def plan(self, now_ms: float) -> list[Ask]:
        """What to ask now; each then has to be told :meth:`answered` or :meth:`failed`."""
        if not self._backoff.is_ready(now_ms):
            return []
        call, route = self._call, self._call.route
        by_target: dict[Target, list[K]] = {}
        unknown: list[K] = []
        for key in self._waiting:
            target = route.target(key)
            if target is None:
                unknown.append(key)
            else:
                by_target.setdefault(target, []).append(key)
        asks = [
            Ask(t, tuple(keys), call.request(keys), call.answer, call.at_least, call.at_most)
            for t, batch in by_target.items()
            for keys in ([batch] if route.is_batched else [[key] for key in batch])
        ]
        asks += [
            Ask(
                lookup.target,
                lookup.keys,
                lookup.request,
                lookup.answer,
                lookup.at_least,
                is_lookup=True,
            )
            for lookup in route.lookups(unknown)
        ]
        self._waiting.clear()
        self._asking += asks
        return asks

    def next_deadline_ms(self) -> float | None:
        """When to call :meth:`plan` again, None for not before an answer comes."""
        return self._backoff.ready_at_ms if self._waiting else None

    def answered(self, ask: Ask, answer: Message, now_ms: float, randomness: float) -> None:
        """An answer has come."""
        if ask not in self._asking:
            # It was given up in the very moment in which it was settled.
            return
        self._asking.remove(ask)
        try:
            read = self._call.route.learn(ask.keys, answer) if ask.is_lookup else None
            found: dict[Any, Any] = dict(
                self._call.read(answer, ask.keys) if read is None else read
            )
        except KafkaException as exception:
            found = dict.fromkeys(ask.keys, exception.args[0])
        except ValueError as error:
            # A name or number that none of our values can have.
            found = dict.fromkeys(ask.keys, KafkaError(KafkaError._BAD_MSG, str(error)))
        has_failed = False
        for key in ask.keys:
            outcome = found.get(key, NOT_MENTIONED)
            if ask.is_lookup and outcome is None:
                self._waiting[key] = None
            elif isinstance(outcome, KafkaError) and outcome.code() in self._call.retried:
                self._again(key)
                has_failed = True
            else:
                self.results[key] = outcome
        if has_failed:
            self._backoff.failed(now_ms, randomness)

    def failed(self, ask: Ask, error: KafkaError, now_ms: float, randomness: float) -> None:
        """There will be no answer."""
        if ask not in self._asking:
            return
        self._asking.remove(ask)
        is_too_new = ask.is_lookup and error.code() == KafkaError._UNSUPPORTED_FEATURE
        if is_too_new and self._call.route.has_simpler_lookup():
            self._waiting.update(dict.fromkeys(ask.keys))
        elif error.code() in _LOST or error.code() in self._call.retried:
            for key in ask.keys:
                self._again(key)
            self._backoff.failed(now_ms, randomness)
        else:
            self.results.update(dict.fromkeys(ask.keys, error))

    def give_up(self, is_known: Callable[[Target], bool]) -> None:
        """The time is over: what has no result yet fails.

        Args:
            is_known: whether this target could be asked, so that only its answer was missing.
        """
        route = self._call.route
        for ask in self._asking:
            if is_known(ask.target):
                self.results.update(dict.fromkeys(ask.keys, route.unanswered))
        for key in self._call.keys:
            self.results.setdefault(key, route.timed_out)
        self._waiting.clear()
        self._asking.clear()

    def _again(self, key: K) -> None:
        self._waiting[key] = None
        self._call.route.forget(key)
        self.is_misrouted = True


# An answer left out an item that it was asked about.
NOT_MENTIONED = KafkaError(KafkaError._BAD_MSG, "The answer does not mention what was asked for")


def ask_all(call: Call[K, V]) -> Operation[Outcomes[K, V]]:
    """An operation that is one call: the outcome of each item, in the order they were given."""
    outcomes: Outcomes[K, V] = yield call
    return {key: outcomes[key] for key in call.keys}


def ask_one(call: Call[Any, V]) -> Operation[V]:
    """An operation about one thing, that either is or raises.

    Raises:
        KafkaException: it failed.
    """
    outcomes: Outcomes[Any, V] = yield call
    [outcome] = outcomes.values()
    if isinstance(outcome, KafkaError):
        raise KafkaException(outcome)
    return outcome


def deferring_refusals(
    build: Callable[P, Operation[T]],
) -> Callable[P, Operation[T]]:
    """Have the operation raise the ``KafkaException`` that was raised while it was built.

    So confluent_kafka does it: arguments of a wrong type are refused at once, but what librdkafka
    has against the others comes with the futures.
    """

    @wraps(build)
    def built(*args: P.args, **kwargs: P.kwargs) -> Operation[T]:
        try:
            return build(*args, **kwargs)
        except KafkaException as exception:
            return _refused(exception)

    return built


def _refused(exception: KafkaException) -> Operation[Any]:
    yield from ()
    raise exception


def split(outcomes: Outcomes[K, V]) -> tuple[dict[K, V], dict[K, KafkaError]]:
    """The values, and the errors."""
    values: dict[K, V] = {}
    errors: dict[K, KafkaError] = {}
    for key, outcome in outcomes.items():
        if isinstance(outcome, KafkaError):
            errors[key] = outcome
        else:
            values[key] = outcome
    return values, errors
