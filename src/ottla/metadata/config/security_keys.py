"""Broker keys of security: SASL, TLS, tokens."""

from __future__ import annotations

from collections.abc import Mapping

from ottla.metadata.config.keys import (
    ConfigKey,
    ConfigType,
    Importance,
    OneOf,
    Range,
    UpdateMode,
    table,
)

CLASS = ConfigType.CLASS
DOUBLE = ConfigType.DOUBLE
INT = ConfigType.INT
LIST = ConfigType.LIST
LONG = ConfigType.LONG
PASSWORD = ConfigType.PASSWORD
SHORT = ConfigType.SHORT
STRING = ConfigType.STRING
HIGH = Importance.HIGH
LOW = Importance.LOW
MEDIUM = Importance.MEDIUM
PER_BROKER = UpdateMode.PER_BROKER
READ_ONLY = UpdateMode.READ_ONLY

# fmt: off
# name, type, default, validator, importance, update mode, documentation
SECURITY_KEYS: Mapping[str, ConfigKey] = table(
    ("connection.failed.authentication.delay.ms", INT, "100", Range(0, None), LOW, READ_ONLY,
     "How long a connection that failed to authenticate is kept before it is closed."),
    ("connections.max.reauth.ms", LONG, "0", None, MEDIUM, READ_ONLY,
     "How long a SASL session lasts before the client must authenticate again; 0 is for ever."),
    ("delegation.token.expiry.check.interval.ms", LONG, "3600000", Range(1, None), LOW, READ_ONLY,
     "How often it is looked which delegation tokens have expired."),
    ("delegation.token.expiry.time.ms", LONG, "86400000", Range(1, None), MEDIUM, READ_ONLY,
     "How long a delegation token lasts without renewal."),
    ("delegation.token.max.lifetime.ms", LONG, "604800000", Range(1, None), MEDIUM, READ_ONLY,
     "How long a delegation token lasts however often it is renewed."),
    ("delegation.token.secret.key", PASSWORD, None, None, MEDIUM, READ_ONLY,
     "The secret delegation tokens are made with."),
    ("principal.builder.class", CLASS,
     "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
     None,
     MEDIUM, PER_BROKER,
     "Accepted for compatibility: Ottla builds principals itself."),
    ("sasl.enabled.mechanisms", LIST, "GSSAPI", None, MEDIUM, PER_BROKER,
     "The SASL mechanisms clients may use."),
    ("sasl.jaas.config", PASSWORD, None, None, MEDIUM, PER_BROKER,
     "The credentials of a SASL listener, in JAAS form."),
    ("sasl.kerberos.kinit.cmd", STRING, "/usr/bin/kinit", None, MEDIUM, PER_BROKER,
     "The command that gets a Kerberos ticket."),
    ("sasl.kerberos.min.time.before.relogin", LONG, "60000", None, MEDIUM, PER_BROKER,
     "The least time between two Kerberos logins."),
    ("sasl.kerberos.principal.to.local.rules", LIST, "DEFAULT", None, MEDIUM, PER_BROKER,
     "How Kerberos principals become user names."),
    ("sasl.kerberos.service.name", STRING, None, None, MEDIUM, PER_BROKER,
     "The service name of the brokers' Kerberos principals."),
    ("sasl.kerberos.ticket.renew.jitter", DOUBLE, "0.05", None, MEDIUM, PER_BROKER,
     "By how much the renewal of a Kerberos ticket is varied."),
    ("sasl.kerberos.ticket.renew.window.factor", DOUBLE, "0.8", None, MEDIUM, PER_BROKER,
     "After what share of its life a Kerberos ticket is renewed."),
    ("sasl.login.refresh.buffer.seconds", SHORT, "300", None, MEDIUM, PER_BROKER,
     "How long before its end a credential is refreshed at the latest."),
    ("sasl.login.refresh.min.period.seconds", SHORT, "60", None, MEDIUM, PER_BROKER,
     "How long a credential is used at least before it is refreshed."),
    ("sasl.login.refresh.window.factor", DOUBLE, "0.8", None, MEDIUM, PER_BROKER,
     "After what share of its life a credential is refreshed."),
    ("sasl.login.refresh.window.jitter", DOUBLE, "0.05", None, MEDIUM, PER_BROKER,
     "By how much the refreshing of a credential is varied."),
    ("sasl.mechanism.controller.protocol", STRING, "GSSAPI", None, HIGH, READ_ONLY,
     "The SASL mechanism between broker and controller."),
    ("sasl.mechanism.inter.broker.protocol", STRING, "GSSAPI", None, MEDIUM, PER_BROKER,
     "The SASL mechanism between brokers."),
    ("sasl.oauthbearer.clock.skew.seconds", INT, "30", None, LOW, READ_ONLY,
     "By how much the clock of a token's issuer may differ."),
    ("sasl.oauthbearer.expected.audience", LIST, "", None, HIGH, READ_ONLY,
     "The audiences of which a token must have one."),
    ("sasl.oauthbearer.expected.issuer", STRING, None, None, HIGH, READ_ONLY,
     "The issuer a token must have."),
    ("sasl.oauthbearer.jwks.endpoint.refresh.ms", LONG, "3600000", None, LOW, READ_ONLY,
     "How often the issuer's keys are fetched again."),
    ("sasl.oauthbearer.jwks.endpoint.url", STRING, None, None, MEDIUM, READ_ONLY,
     "Where the issuer's keys are found."),
    ("sasl.oauthbearer.scope.claim.name", STRING, "scope", None, LOW, READ_ONLY,
     "The claim of a token that holds its scopes."),
    ("sasl.oauthbearer.sub.claim.name", STRING, "sub", None, LOW, READ_ONLY,
     "The claim of a token that holds its user."),
    ("sasl.oauthbearer.token.endpoint.url", STRING, None, None, MEDIUM, READ_ONLY,
     "Where tokens are found."),
    ("sasl.server.max.receive.size", INT, "524288", None, MEDIUM, READ_ONLY,
     "The largest message of a SASL exchange."),
    ("security.inter.broker.protocol", STRING, "PLAINTEXT",
     OneOf("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"), MEDIUM, READ_ONLY,
     "The security protocol between brokers, if no listener is named for it."),
    ("ssl.cipher.suites", LIST, "", None, MEDIUM, PER_BROKER,
     "The cipher suites a TLS listener offers; empty leaves it to the library."),
    ("ssl.client.auth", STRING, "none", OneOf("required", "requested", "none"), MEDIUM, PER_BROKER,
     "Whether clients must show a certificate: required, requested or none."),
    ("ssl.enabled.protocols", LIST, "TLSv1.2,TLSv1.3", None, MEDIUM, PER_BROKER,
     "The versions of TLS a listener offers."),
    ("ssl.endpoint.identification.algorithm", STRING, "https", None, LOW, PER_BROKER,
     "How a server's name is checked against its certificate; empty does not check."),
    ("ssl.engine.factory.class", CLASS, None, None, LOW, PER_BROKER,
     "Accepted for compatibility: Ottla loads no Java classes."),
    ("ssl.key.password", PASSWORD, None, None, MEDIUM, PER_BROKER,
     "The password of the private key."),
    ("ssl.keymanager.algorithm", STRING, "SunX509", None, MEDIUM, PER_BROKER,
     "Accepted for compatibility: a choice among Java's key managers."),
    ("ssl.keystore.certificate.chain", PASSWORD, None, None, MEDIUM, PER_BROKER,
     "The certificate chain, as PEM text."),
    ("ssl.keystore.key", PASSWORD, None, None, MEDIUM, PER_BROKER,
     "The private key, as PEM text."),
    ("ssl.keystore.location", STRING, None, None, MEDIUM, PER_BROKER,
     "The file with the key and the certificate chain."),
    ("ssl.keystore.password", PASSWORD, None, None, MEDIUM, PER_BROKER,
     "The password of that file."),
    ("ssl.keystore.type", STRING, "JKS", None, MEDIUM, PER_BROKER,
     "The format of that file."),
    ("ssl.principal.mapping.rules", STRING, "DEFAULT", None, LOW, READ_ONLY,
     "How names in certificates become user names."),
    ("ssl.protocol", STRING, "TLSv1.3", None, MEDIUM, PER_BROKER,
     "The newest version of TLS to use."),
    ("ssl.provider", STRING, None, None, MEDIUM, PER_BROKER,
     "Accepted for compatibility: a choice among Java's security providers."),
    ("ssl.secure.random.implementation", STRING, None, None, LOW, PER_BROKER,
     "Accepted for compatibility: a choice among Java's random generators."),
    ("ssl.trustmanager.algorithm", STRING, "PKIX", None, MEDIUM, PER_BROKER,
     "Accepted for compatibility: a choice among Java's trust managers."),
    ("ssl.truststore.certificates", PASSWORD, None, None, MEDIUM, PER_BROKER,
     "The trusted certificates, as PEM text."),
    ("ssl.truststore.location", STRING, None, None, MEDIUM, PER_BROKER,
     "The file with the trusted certificates."),
    ("ssl.truststore.password", PASSWORD, None, None, MEDIUM, PER_BROKER,
     "The password of that file."),
    ("ssl.truststore.type", STRING, "JKS", None, MEDIUM, PER_BROKER,
     "The format of that file."),
)
# fmt: on
