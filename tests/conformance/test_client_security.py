"""Our client's TLS and SASL against Apache Kafka: who is let in, who is not, and what is said."""

from __future__ import annotations

import asyncio
import base64
import http.server
import importlib
import json
import pathlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import uvloop

from ottla.client.configuration.build import configure_admin
from ottla.client.core.targets import ANY, Lane
from ottla.client.engine.engine import Engine
from ottla.client.engine.thread import EngineThread
from ottla.client.errors import KafkaError, KafkaException
from ottla.testing.apache_kafka import QUICK_START_FLAGS, ApacheKafka, free_port
from ottla.testing.certificates import Authority, Identity
from ottla.wire.api.k03_metadata import MetadataRequest, MetadataResponse

pytestmark = [pytest.mark.jvm, pytest.mark.slow]

PLAIN_LOGIN = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    'user_anna="secret, =and= ünusual";'
)
SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
OAUTH_LOGIN = (
    "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
    'unsecuredLoginStringClaim_sub="anna";'
)
PASSWORD = "secret, =and= ünusual"
SESSION_LIFETIME_MS = 2000
TIMEOUT_MS = 10_000


class SecureKafka(NamedTuple):
    """Apache Kafka with a listener of every kind, and what its certificates need."""

    plaintext: str
    tls: str
    mutual_tls: str
    sasl: str
    sasl_tls: str
    authority: Authority
    server: Identity
    directory: pathlib.Path


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    directory = tmp_path_factory.mktemp("secure")
    authority = Authority()
    server = authority.issue("broker", ["localhost"])
    (directory / "ca.pem").write_text(authority.certificate_pem)
    (directory / "broker.pem").write_text(server.key_pem() + server.certificate_pem)
    ports = {name: free_port() for name in ("TLS", "MUTUAL", "SASL", "SASLTLS")}
    running = ApacheKafka(heap="512m", jvm_flags=QUICK_START_FLAGS)
    running._settings.update(_settings(running, ports, directory))
    with running:
        _create_scram_user(running)
        yield SecureKafka(
            plaintext=running.bootstrap_servers,
            tls=f"localhost:{ports['TLS']}",
            mutual_tls=f"localhost:{ports['MUTUAL']}",
            sasl=f"localhost:{ports['SASL']}",
            sasl_tls=f"localhost:{ports['SASLTLS']}",
            authority=authority,
            server=server,
            directory=directory,
        )


def _settings(
    kafka: ApacheKafka, ports: Mapping[str, int], directory: pathlib.Path
) -> dict[str, str]:
    plain = f"PLAINTEXT://{kafka.host}:{kafka.port}"
    ours = ",".join(f"{name}://localhost:{port}" for name, port in ports.items())
    settings = {
        "listeners": f"{plain},{ours},CONTROLLER://{kafka.host}:{kafka._controller_port}",
        "advertised.listeners": f"{plain},{ours}",
        "listener.security.protocol.map": (
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,TLS:SSL,MUTUAL:SSL,"
            "SASL:SASL_PLAINTEXT,SASLTLS:SASL_SSL"
        ),
        "listener.name.mutual.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(directory / "broker.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(directory / "ca.pem"),
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.sasl.scram-sha-512.connections.max.reauth.ms": str(SESSION_LIFETIME_MS),
    }
    for listener in ("sasl", "sasltls"):
        start = f"listener.name.{listener}"
        settings[f"{start}.plain.sasl.jaas.config"] = PLAIN_LOGIN.replace("ü", "\\u00fc")
        settings[f"{start}.scram-sha-256.sasl.jaas.config"] = SCRAM_LOGIN
        settings[f"{start}.scram-sha-512.sasl.jaas.config"] = SCRAM_LOGIN
        settings[f"{start}.oauthbearer.sasl.jaas.config"] = OAUTH_LOGIN
    return settings


def _create_scram_user(kafka: ApacheKafka) -> None:
    admin: Any = importlib.import_module("confluent_kafka.admin")
    client = admin.AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for mechanism in (admin.ScramMechanism.SCRAM_SHA_256, admin.ScramMechanism.SCRAM_SHA_512):
        credential = admin.ScramCredentialInfo(mechanism, 4096)
        upsertion = admin.UserScramCredentialUpsertion("anna", credential, PASSWORD.encode())
        for future in client.alter_user_scram_credentials([upsertion]).values():
            future.result(30)


def reach(servers: str, settings: Mapping[str, Any], timeout_ms: float = TIMEOUT_MS) -> None:
    """Connect on a thread of its own, as the sync clients do, and ask for metadata."""
    configuration = configure_admin(({"bootstrap.servers": servers, **settings},), {})
    thread = EngineThread(lambda: Engine(configuration, "admin"))
    try:
        thread.run(_use(thread.engine, timeout_ms))
    finally:
        thread.stop()


async def _use(engine: Engine, timeout_ms: float = TIMEOUT_MS) -> None:
    await engine.wait_connected(timeout_ms)
    answer = await engine.ask(ANY, MetadataRequest(topics=[]), MetadataResponse)
    assert [each.node_id for each in answer.brokers] == [1]


def failure(servers: str, settings: Mapping[str, Any], timeout_ms: float = 1500) -> KafkaError:
    """Why it can't be reached."""
    with pytest.raises(KafkaException) as raised:
        reach(servers, {"error_cb": lambda error: None, **settings}, timeout_ms)
    error = raised.value.args[0]
    assert isinstance(error, KafkaError)
    return error


# TLS


@pytest.fixture
def tls(kafka: SecureKafka) -> dict[str, Any]:
    return {"security.protocol": "ssl", "ssl.ca.location": str(kafka.directory / "ca.pem")}


@pytest.fixture
def client(kafka: SecureKafka) -> Identity:
    return kafka.authority.issue("client")


def test_the_certificate_of_a_known_authority_is_accepted(
    kafka: SecureKafka, tls: dict[str, Any]
) -> None:
    reach(kafka.tls, tls)
    reach(kafka.tls, {"security.protocol": "ssl", "ssl.ca.pem": kafka.authority.certificate_pem})


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_tls_on_the_users_own_loop(
    kafka: SecureKafka, tls: dict[str, Any], new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def run() -> None:
        configuration = configure_admin(({"bootstrap.servers": kafka.tls, **tls},), {})
        engine = Engine(configuration, "admin")
        engine.start()
        try:
            await _use(engine)
        finally:
            await engine.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


def test_that_of_an_unknown_one_is_refused_unless_nobody_looks(kafka: SecureKafka) -> None:
    settings = {"security.protocol": "ssl", "ssl.ca.pem": Authority("Other").certificate_pem}
    error = failure(kafka.tls, settings)
    assert error == KafkaError._SSL
    assert "the broker's certificate was refused" in error.str()
    assert "ssl.ca.location" in error.str()
    reach(kafka.tls, {**settings, "enable.ssl.certificate.verification": False})


def test_the_name_in_the_certificate_must_be_the_broker_s(
    kafka: SecureKafka, tls: dict[str, Any]
) -> None:
    by_address = kafka.tls.replace("localhost", "127.0.0.1")
    error = failure(by_address, tls)
    assert error == KafkaError._SSL
    assert "ssl.endpoint.identification.algorithm" in error.str()
    reach(by_address, {**tls, "ssl.endpoint.identification.algorithm": "none"})


def test_a_revoked_certificate_is_refused(
    kafka: SecureKafka, tls: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    revocations = tmp_path / "revoked.pem"
    revocations.write_text(kafka.authority.revocations(kafka.server))
    error = failure(kafka.tls, {**tls, "ssl.crl.location": str(revocations)})
    assert error == KafkaError._SSL
    assert "revoked" in error.str()
    revocations.write_text(kafka.authority.revocations())
    reach(kafka.tls, {**tls, "ssl.crl.location": str(revocations)})


def test_a_client_certificate_from_files_or_text_or_a_key_store(
    kafka: SecureKafka, tls: dict[str, Any], client: Identity, tmp_path: pathlib.Path
) -> None:
    certificate, key = client.write(tmp_path, "client")
    encrypted, store = tmp_path / "encrypted.key", tmp_path / "client.p12"
    encrypted.write_text(client.key_pem("opens"))
    store.write_bytes(client.key_store("opens"))
    files = {"ssl.certificate.location": str(certificate), "ssl.key.location": str(key)}
    locked = {**files, "ssl.key.location": str(encrypted), "ssl.key.password": "opens"}
    texts = {"ssl.certificate.pem": client.certificate_pem, "ssl.key.pem": client.key_pem()}
    stored = {"ssl.keystore.location": str(store), "ssl.keystore.password": "opens"}
    for settings in (files, locked, texts, stored):
        reach(kafka.mutual_tls, {**tls, **settings})


def test_without_a_client_certificate_where_one_is_wanted(
    kafka: SecureKafka, tls: dict[str, Any]
) -> None:
    error = failure(kafka.mutual_tls, tls)
    assert error.code() in (KafkaError._SSL, KafkaError._TRANSPORT)
    assert "ssl.certificate.location" in error.str()


def test_files_that_cannot_be_used_are_named_at_once(
    kafka: SecureKafka, tls: dict[str, Any], client: Identity, tmp_path: pathlib.Path
) -> None:
    certificate, key = client.write(tmp_path, "client")
    other = kafka.authority.issue("other").write(tmp_path, "other")[1]
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_text(client.key_pem("opens"))
    own = {"ssl.certificate.location": str(certificate), "ssl.key.location": str(key)}
    wrong: list[dict[str, Any]] = [
        {"ssl.ca.location": str(tmp_path / "missing")},
        {"ssl.ca.location": str(key)},
        {**own, "ssl.key.location": str(other)},
        {**own, "ssl.key.location": str(encrypted)},
        {**own, "ssl.key.location": str(encrypted), "ssl.key.password": "wrong"},
        {"ssl.keystore.location": str(key), "ssl.keystore.password": "opens"},
        {"ssl.cipher.suites": "NONE-SUCH"},
    ]
    for settings in wrong:
        error = failure(kafka.tls, {**tls, **settings})
        assert error == KafkaError._INVALID_ARG
        assert " failed: " in error.str()


def test_a_listener_that_speaks_something_else(kafka: SecureKafka, tls: dict[str, Any]) -> None:
    assert "security.protocol" in failure(kafka.tls, {}).str()
    assert "security.protocol" in failure(kafka.sasl, {}).str()
    assert "TLS" in failure(kafka.plaintext, tls).str()


# SASL


def sasl(mechanism: str, password: str = PASSWORD) -> dict[str, Any]:
    return {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanism": mechanism,
        "sasl.username": "anna",
        "sasl.password": password,
    }


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_password_opens_the_door_and_a_wrong_one_does_not(
    kafka: SecureKafka, tls: dict[str, Any], mechanism: str
) -> None:
    settings = sasl(mechanism)
    reach(kafka.sasl, settings)
    reach(kafka.sasl_tls, {**tls, **settings, "security.protocol": "sasl_ssl"})
    error = failure(kafka.sasl, sasl(mechanism, "wrong"))
    assert error == KafkaError._AUTHENTICATION
    assert "Authentication failed" in error.str()
    assert "wrong" not in error.str()


def test_a_mechanism_that_the_broker_lacks(kafka: SecureKafka) -> None:
    error = failure(kafka.sasl, sasl("SCRAM-SHA-1"))
    assert error == KafkaError._AUTHENTICATION
    assert "broker's supported mechanisms: " in error.str()
    assert "SCRAM-SHA-256" in error.str()


def test_an_unsecured_token(kafka: SecureKafka) -> None:
    settings = {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanism": "OAUTHBEARER",
        "enable.sasl.oauthbearer.unsecure.jwt": True,
        "sasl.oauthbearer.config": "principal=anna scope=read,write extension_traceId=123",
    }
    reach(kafka.sasl, settings)


def unsecured_jwt(lifetime_s: float = 600, **claims: Any) -> str:
    now_s = time.time()
    claims = {"sub": "anna", "iat": now_s, "exp": now_s + lifetime_s, **claims}
    parts = [json.dumps({"alg": "none"}), json.dumps(claims)]
    encoded = (base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)
    return ".".join(encoded) + "."


def oauth(callback: Callable[[str], Any]) -> dict[str, Any]:
    return {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.config": "for the callback",
        "oauth_cb": callback,
    }


def test_a_token_from_the_users_callback(kafka: SecureKafka) -> None:
    asked: list[str] = []

    def callback(config: str) -> tuple[str, float, str, dict[str, str]]:
        asked.append(config)
        return unsecured_jwt(), time.time() + 600, "anna", {"traceId": "7"}

    reach(kafka.sasl, oauth(callback))
    assert asked == ["for the callback"]


def test_a_token_that_the_broker_does_not_take(kafka: SecureKafka) -> None:
    error = failure(kafka.sasl, oauth(lambda _: ("nonsense", time.time() + 600)))
    assert error == KafkaError._AUTHENTICATION
    assert "refused the token" in error.str()


def test_a_callback_that_fails(kafka: SecureKafka) -> None:
    def callback(_: str) -> tuple[str, float]:
        raise LookupError("no token today")

    error = failure(kafka.sasl, oauth(callback))
    assert error == KafkaError._AUTHENTICATION
    assert "no token today" in error.str()


class Provider(http.server.BaseHTTPRequestHandler):
    """An OIDC provider's token endpoint."""

    requests: list[tuple[str | None, str]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.requests.append((self.headers["Authorization"], body))
        is_known = (
            self.headers["Authorization"] == "Basic " + base64.b64encode(b"client:secret").decode()
        )
        answer = {"access_token": unsecured_jwt()} if is_known else {"error": "invalid_client"}
        data = json.dumps(answer).encode()
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def provider() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/token"
        server.shutdown()
        thread.join()


def test_a_token_from_an_oidc_provider(kafka: SecureKafka, provider: str) -> None:
    settings = {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.token.endpoint.url": provider,
        "sasl.oauthbearer.client.id": "client",
        "sasl.oauthbearer.client.secret": "secret",
        "sasl.oauthbearer.scope": "kafka",
    }
    reach(kafka.sasl, settings)
    assert Provider.requests[-1][1] == "grant_type=client_credentials&scope=kafka"
    error = failure(kafka.sasl, {**settings, "sasl.oauthbearer.client.secret": "other"})
    assert error == KafkaError._AUTHENTICATION
    assert "invalid_client" in error.str()


def test_a_connection_outlives_its_session_by_authenticating_again(kafka: SecureKafka) -> None:
    async def run() -> None:
        settings = {"bootstrap.servers": kafka.sasl, **sasl("SCRAM-SHA-512")}
        lost: list[KafkaError] = []
        engine = Engine(configure_admin((settings,), {}), "admin")
        engine.on_connection(lambda _, __, error: lost.append(error) if error else None)
        engine.start()
        try:
            await engine.wait_connected(TIMEOUT_MS)
            end = time.monotonic() + 2.5 * SESSION_LIFETIME_MS / 1000
            while time.monotonic() < end:
                await engine.ask(1, MetadataRequest(topics=[]), MetadataResponse)
            assert lost == []
            assert engine.is_ready(1, Lane.MAIN)
        finally:
            await engine.close()

    asyncio.run(run())


def test_credentials_replaced_at_run_time(kafka: SecureKafka) -> None:
    async def run() -> None:
        settings = {"bootstrap.servers": kafka.sasl, **sasl("PLAIN", "wrong")}
        failed = asyncio.Event()
        settings["error_cb"] = lambda _: failed.set()
        engine = Engine(configure_admin((settings,), {}), "admin")
        engine.start()
        try:
            await failed.wait()
            engine.set_sasl_credentials("anna", PASSWORD)
            await engine.wait_connected(TIMEOUT_MS)
        finally:
            await engine.close()

    asyncio.run(run())
