"""Our bytes against two foreign codecs: kio and kafka-python read them and write them back alike.

Every declared version of every message that an oracle knows is tried; what follows are the only
differences, by name. Neither knows the records of internal topics: those are judged by Kafka's own
definitions (``test_wire_schemas``) and decoders (``test_transactions_on_disk`` and others).
"""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Callable
from typing import Any

import kafka.protocol
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ottla.testing.messages import declared_messages, messages
from ottla.wire.declare import Message
from ottla.wire.errors import ErrorCode
from ottla.wire.frames import RequestHeader, ResponseHeader
from ottla.wire.schema import Field, Fixed

Rewrite = Callable[[bytes], bytes]

RECORDS = re.compile(r"ottla\.wire\.\w+_records(\.|$)")
MESSAGES = [cls for cls in declared_messages() if not RECORDS.match(cls.__module__)]
VERSIONED = [(cls, version) for cls in MESSAGES for version in cls.VERSIONS]
FEW = settings(
    max_examples=8,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

# kafka-python 3.0.12 has no classes for these, which kio alone judges.
UNKNOWN_TO_KAFKA_PYTHON = re.compile(
    r"\w*(DelegationToken|Telemetry|Raft|Share|StreamsGroup|ConsumerGroup(Heartbeat|Describe)|"
    r"UnregisterBroker)\w*"
)


def _named(text: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", text).lower()


def _tame(field: Field) -> st.SearchStrategy[Any] | None:
    """kio turns error codes and times into Python's own types, which are narrower than the wire."""
    if field.name.endswith("error_code"):
        return st.integers(-1, 133)
    is_int64 = isinstance(field.type, Fixed) and field.type.name == "Int64"
    if is_int64 and ("time" in field.name or field.name.endswith("_ms")):
        return st.integers(0, 2**40)
    return None


def _without_error(field: Field) -> st.SearchStrategy[Any] | None:
    """kafka-python reads ApiVersionsResponse as version 0 where it tells an error (KIP-511)."""
    return st.just(0) if field.name == "error_code" else None


def _kio(cls: type[Message], version: int) -> Rewrite:
    kind = next((kind for kind in ("Request", "Response") if cls.__name__.endswith(kind)), "data")
    package = _named(cls.__name__.removesuffix(kind))
    module = importlib.import_module(f"kio.schema.{package}.v{version}.{kind.lower()}")
    return _kio_rewrite(getattr(module, cls.__name__))


def _kio_rewrite(theirs: Any) -> Rewrite:
    serial = importlib.import_module("kio.serial")
    read, write = serial.entity_reader(theirs), serial.entity_writer(theirs)

    def rewrite(encoded: bytes) -> bytes:
        entity, size_bytes = read(encoded, 0)
        assert size_bytes == len(encoded)
        written = io.BytesIO()
        write(written, entity)
        return written.getvalue()

    return rewrite


def _kafka_python(cls: type[Message], version: int) -> Rewrite:
    theirs = _kafka_python_class(cls.__name__)

    def rewrite(encoded: bytes) -> bytes:
        decoded = theirs.decode(encoded, version=version, header=False)
        if cls.API_KEY is not None:
            # A decoded message lacks the attribute that encoding it asks for.
            decoded._header = None
        return bytes(decoded.encode(version=version, header=False))

    return rewrite


def _kafka_python_class(name: str) -> Any:
    for package in ("admin", "consumer", "metadata", "producer", "sasl"):
        module = importlib.import_module(f"kafka.protocol.{package}")
        if hasattr(module, name):
            return getattr(module, name)
    raise LookupError(f"{kafka.protocol.__name__} has no {name}")


def _check(cls: Any, version: int, rewrite: Rewrite, override: Any) -> None:
    @FEW
    @given(messages(cls, version, override=override))
    def check(sent: Message) -> None:
        encoded = sent.encode(version)
        assert rewrite(encoded) == encoded
        assert cls.decode(encoded, version) == sent

    check()


def _label(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else f"v{value}"


@pytest.mark.parametrize(("cls", "version"), VERSIONED, ids=_label)
def test_kio_agrees(cls: type[Message], version: int) -> None:
    _check(cls, version, _kio(cls, version), _tame)


@pytest.mark.parametrize(
    ("cls", "version"),
    [case for case in VERSIONED if not UNKNOWN_TO_KAFKA_PYTHON.fullmatch(case[0].__name__)],
    ids=_label,
)
def test_kafka_python_agrees(cls: type[Message], version: int) -> None:
    override = _without_error if cls.__name__ == "ApiVersionsResponse" else None
    _check(cls, version, _kafka_python(cls, version), override)


def test_kio_knows_the_same_errors() -> None:
    theirs = importlib.import_module("kio.schema.errors").ErrorCode
    assert [(error.value, error.name, error.retriable) for error in ErrorCode] == [
        (error.value, error.name.upper(), error.retriable) for error in theirs
    ]


@pytest.mark.parametrize("client_id", [None, "", "me", "é" * 300])
@pytest.mark.parametrize(("version", "header_version"), [(11, 1), (12, 2)])
def test_the_oracles_agree_on_request_headers(
    version: int, header_version: int, client_id: str | None
) -> None:
    header = RequestHeader(api_key=1, api_version=version, correlation_id=7, client_id=client_id)
    encoded = header.encode()
    module = importlib.import_module(f"kio.schema.request_header.v{header_version}.header")
    assert _kio_rewrite(module.RequestHeader)(encoded) == encoded
    theirs = importlib.import_module("kafka.protocol.api_header").RequestHeader(
        request_api_key=1,
        request_api_version=version,
        correlation_id=7,
        client_id=client_id,
    )
    assert theirs.encode(flexible=header_version == 2) == encoded


def test_kio_agrees_on_response_headers() -> None:
    for version, header_version in ((11, 0), (12, 1)):
        encoded = ResponseHeader(correlation_id=7).encode(1, version)
        module = importlib.import_module(f"kio.schema.response_header.v{header_version}.header")
        assert _kio_rewrite(module.ResponseHeader)(encoded) == encoded
