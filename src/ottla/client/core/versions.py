"""Which version of an API to speak with a broker: the newest that both sides know (KIP-35).

Brokers from Kafka 2.1 on are spoken to. They all answer ApiVersions, but those before 2.4 do not
know its version 3: they answer the question in version 0, with an error and what they do know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ottla.client.errors import KafkaError, KafkaException
from ottla.wire.apis import API_VERSIONS, APIS
from ottla.wire.errors import ErrorCode

NEWEST_API_VERSIONS = APIS[API_VERSIONS].max_version


class BrokerVersions:
    """The APIs that one broker offers, each with its oldest and newest version."""

    __slots__ = ("_offered",)

    def __init__(self, offered: Mapping[int, tuple[int, int]]) -> None:
        self._offered = dict(offered)

    def newest(self, key: int, *, at_most: int | None = None) -> int | None:
        """The newest version of an API that both sides know, None if there is none.

        Args:
            key: the API's key.
            at_most: no newer than this, for requests that a newer version says differently.
        """
        offered = self._offered.get(key)
        if offered is None:
            return None
        ours = APIS[key]
        newest = min(offered[1], ours.max_version)
        if at_most is not None:
            newest = min(newest, at_most)
        return newest if newest >= max(offered[0], ours.min_version) else None

    def choose(self, key: int, *, at_least: int = 0, at_most: int | None = None) -> int:
        """Like :meth:`newest`, for a request that can't do without the API.

        Args:
            key: the API's key.
            at_least: the first version that can say what is to be said.
            at_most: the last one.

        Raises:
            KafkaException: ``_UNSUPPORTED_FEATURE``: the broker is too old, or too new.
        """
        version = self.newest(key, at_most=at_most)
        if version is None or version < at_least:
            raise KafkaException(
                KafkaError(KafkaError._UNSUPPORTED_FEATURE, self._refusal(key, at_least))
            )
        return version

    def supports(self, key: int, version: int = 0) -> bool:
        """Whether both sides know this version of an API, or a newer one."""
        newest = self.newest(key)
        return newest is not None and newest >= version

    def _refusal(self, key: int, at_least: int) -> str:
        ours, offered = APIS[key], self._offered.get(key)
        wanted = f"{max(at_least, ours.min_version)} to {ours.max_version}"
        has = "does not offer it" if offered is None else f"offers {offered[0]} to {offered[1]}"
        return f"{ours.name} is needed in a version from {wanted}, but the broker {has}"


def next_api_versions(tried: int, error_code: int, offered: Iterable[tuple[int, int, int]]) -> int:
    """The version of ApiVersions to ask in after a broker refused the one that was tried.

    Args:
        tried: the version of the question.
        error_code: what the broker answered.
        offered: key, oldest and newest version of the APIs named in the answer.

    Raises:
        KafkaException: the broker's error has nothing to do with the version, or there is nothing
            older to try.
    """
    if error_code == ErrorCode.UNSUPPORTED_VERSION and tried > 0:
        newest = next((last for key, _, last in offered if key == API_VERSIONS), 0)
        return max(0, min(newest, tried - 1))
    raise KafkaException(KafkaError(error_code))
