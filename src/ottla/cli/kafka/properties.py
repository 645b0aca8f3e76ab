"""Java's ``.properties`` files, and what the keys of Java's clients are called by ours.

The files given with ``--command-config`` are written for Java's clients. What means the same under
another name is translated, what has no meaning outside a JVM is left out, and everything else goes
to the client as it is, which refuses what it doesn't know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ottla.cli.kafka.failures import ToolFailure

_RENAMED = {
    "max.request.size": "message.max.bytes",
    "send.buffer.bytes": "socket.send.buffer.bytes",
    "receive.buffer.bytes": "socket.receive.buffer.bytes",
    "fetch.max.wait.ms": "fetch.wait.max.ms",
    "ssl.endpoint.identification.algorithm": "ssl.endpoint.identification.algorithm",
    "sasl.oauthbearer.client.credentials.client.id": "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.credentials.client.secret": "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.scope": "sasl.oauthbearer.scope",
    "ssl.truststore.location": "ssl.ca.location",
    "ssl.truststore.certificates": "ssl.ca.pem",
    "ssl.keystore.certificate.chain": "ssl.certificate.pem",
    "ssl.keystore.key": "ssl.key.pem",
    "ssl.key.password": "ssl.key.password",
}
_WITHOUT_MEANING = {
    "key.serializer", "value.serializer", "key.deserializer", "value.deserializer",
    "metric.reporters", "metrics.num.samples", "metrics.recording.level",
    "metrics.sample.window.ms", "interceptor.classes", "auto.include.jmx.reporter",
    "buffer.memory", "max.block.ms", "default.api.timeout.ms", "partitioner.class",
    "ssl.truststore.type", "ssl.truststore.password", "ssl.keystore.type", "ssl.protocol",
    "ssl.provider", "ssl.enabled.protocols", "sasl.client.callback.handler.class",
    "sasl.login.callback.handler.class", "sasl.login.class", "security.providers",
    "max.poll.records", "exclude.internal.topics", "retries",
}  # fmt: skip
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_JAAS_OPTION = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|([^\s;"\']+))')
_SEPARATOR = re.compile(r"(?<!\\)(?:\\\\)*([\s=:])")
MOST_FILE_BYTES = 16 << 20


def load(path: str) -> dict[str, str]:
    """The entries of a properties file.

    Raises:
        ToolFailure: it can't be read.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_FILE_BYTES)
    except OSError as error:
        raise ToolFailure(f"{path} can't be read: {error.strerror}") from None
    return parse(data.decode("utf-8", errors="replace"))


def parse(text: str) -> dict[str, str]:
    """The entries of a file's text: ``key=value``, ``key: value`` or ``key value`` per line."""
    entries: dict[str, str] = {}
    for line in _logical_lines(text):
        found = _SEPARATOR.search(line)
        if found is None:
            entries[_unescape(line)] = ""
            continue
        key, rest = line[: found.start(1)], line[found.start(1) :].lstrip()
        if rest[:1] in ("=", ":"):
            rest = rest[1:].lstrip()
        entries[_unescape(key)] = _unescape(rest)
    return entries


def _logical_lines(text: str) -> Iterator[str]:
    """Lines without comments; those that end in an odd number of backslashes joined."""
    held = ""
    for raw in re.split(r"\r\n|\r|\n", text):
        line = raw.lstrip(" \t\f")
        if not held and (not line or line[0] in "#!"):
            continue
        line = held + line
        if (len(line) - len(line.rstrip("\\"))) % 2:
            held = line[:-1]
            continue
        held = ""
        yield line
    if held:
        yield held


def _unescape(text: str) -> str:
    def replace(found: re.Match[str]) -> str:
        if found[1]:
            return chr(int(found[1], 16))
        return _ESCAPES.get(found[2], found[2])

    return re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", replace, text)


def key_values(pairs: Sequence[str]) -> dict[str, str]:
    """What ``--command-property key=value`` and its like say; without ``=`` the value is empty."""
    split = (pair.partition("=") for pair in pairs)
    return {key: text for key, _, text in split}


def for_our_client(entries: Mapping[str, str]) -> dict[str, str]:
    """Entries for a Java client as our client wants them."""
    ours: dict[str, str] = {}
    for key, text in entries.items():
        if key == "sasl.jaas.config":
            ours |= _credentials(text)
        elif key == "ssl.keystore.location":
            ours |= {"ssl.certificate.location": text, "ssl.key.location": text}
        elif key == "compression.type" and text == "":
            continue
        elif key not in _WITHOUT_MEANING:
            ours[_RENAMED.get(key, key)] = text
    if "sasl.oauthbearer.client.id" in ours:
        ours.setdefault("sasl.oauthbearer.method", "oidc")
    return ours


def _credentials(jaas: str) -> dict[str, str]:
    """User and password of a JAAS line such as ``...PlainLoginModule required username=...``."""
    found = {name: a or b or c for name, a, b, c in _JAAS_OPTION.findall(jaas)}
    named = {
        "username": "sasl.username",
        "password": "sasl.password",
        "serviceName": "sasl.kerberos.service.name",
        "principal": "sasl.kerberos.principal",
        "keyTab": "sasl.kerberos.keytab",
        "clientId": "sasl.oauthbearer.client.id",
        "clientSecret": "sasl.oauthbearer.client.secret",
        "scope": "sasl.oauthbearer.scope",
    }
    return {key: found[name] for name, key in named.items() if name in found}
