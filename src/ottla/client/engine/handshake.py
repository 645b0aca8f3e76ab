"""What is said first on a new connection: which versions the broker knows, and who we are."""

from __future__ import annotations

from typing import NamedTuple

from ottla.client.configuration.objects import Configuration
from ottla.client.core.versions import NEWEST_API_VERSIONS, BrokerVersions, next_api_versions
from ottla.client.engine.connection import Connection
from ottla.client.engine.failures import handshake_failure
from ottla.client.engine.requests import call, decode
from ottla.client.errors import KafkaError, KafkaException
from ottla.wire.api.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse
from ottla.wire.apis import API_VERSIONS
from ottla.wire.errors import ErrorCode

_SOFTWARE_NAME = "ottla"


class Greeting(NamedTuple):
    """What a broker told of itself."""

    versions: BrokerVersions
    # Finalized features by name (KIP-584), and how new that is.
    features: dict[str, int]
    features_epoch: int


async def greet(connection: Connection, configuration: Configuration) -> Greeting:
    """Ask a broker what it can do (KIP-511: naming ourselves), whatever versions it knows.

    Raises:
        KafkaException: it did not answer, or not with sense.
    """
    version = NEWEST_API_VERSIONS
    request = ApiVersionsRequest(
        client_software_name=_SOFTWARE_NAME, client_software_version=_software_version()
    )
    timeout_ms = configuration.api_version_request_timeout_ms
    while True:
        try:
            body = await call(
                connection.request, API_VERSIONS, version, [request.encode(version)], timeout_ms
            )
        except KafkaException as exception:
            failure: KafkaError = exception.args[0]
            protocol = configuration.security_protocol
            raise KafkaException(handshake_failure(connection.name, failure, protocol)) from None
        # A broker that does not know the version of the question answers in version 0.
        is_refusal = bytes(body[:2]) == _UNSUPPORTED
        answer = decode(ApiVersionsResponse, body, 0 if is_refusal else version, connection.name)
        offered = [(each.api_key, each.min_version, each.max_version) for each in answer.api_keys]
        if answer.error_code == ErrorCode.NONE:
            return Greeting(
                BrokerVersions({key: (oldest, newest) for key, oldest, newest in offered}),
                {each.name: each.max_version_level for each in answer.finalized_features},
                answer.finalized_features_epoch,
            )
        version = next_api_versions(version, answer.error_code, offered)


_UNSUPPORTED = int(ErrorCode.UNSUPPORTED_VERSION).to_bytes(2)


def _software_version() -> str:
    from ottla import __version__

    return __version__
