"""Keys of TLS and SASL.

Names, ranges and defaults are librdkafka's, which every program for confluent_kafka relies on.
"""

from __future__ import annotations

from ottla.client.configuration.key import Key, same

KEYS: tuple[Key, ...] = (
    Key(
        "security.protocol",
        "choice",
        "plaintext",
        choices=same("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
    ),
    Key("ssl.cipher.suites", "string"),
    Key("ssl.curves.list", "string"),
    Key("ssl.sigalgs.list", "string"),
    Key("ssl.key.location", "string", is_secret=True),
    Key("ssl.key.password", "string", is_secret=True),
    Key("ssl.key.pem", "string", is_secret=True),
    Key("ssl_key", "internal", is_secret=True),
    Key("ssl.certificate.location", "string"),
    Key("ssl.certificate.pem", "string"),
    Key("ssl_certificate", "internal"),
    Key("ssl.ca.location", "string"),
    Key("https.ca.location", "string"),
    Key("https.ca.pem", "string"),
    Key("ssl.ca.pem", "string", is_secret=True),
    Key("ssl_ca", "internal"),
    Key(
        "ssl.ca.certificate.stores",
        "string",
        "Root",
        unsupported="configuration only valid on Windows",
    ),
    Key("ssl.crl.location", "string"),
    Key("ssl.keystore.location", "string"),
    Key("ssl.keystore.password", "string", is_secret=True),
    Key("ssl.providers", "string", unsupported="OpenSSL providers cannot be loaded from Python"),
    Key(
        "ssl.engine.location",
        "string",
        is_deprecated=True,
        unsupported="OpenSSL engines cannot be loaded from Python",
    ),
    Key(
        "ssl.engine.id",
        "string",
        "dynamic",
        unsupported="OpenSSL engines cannot be loaded from Python",
    ),
    Key("ssl_engine_callback_data", "callback"),
    Key("enable.ssl.certificate.verification", "boolean", True),
    Key("ssl.endpoint.identification.algorithm", "choice", "https", choices=same("none", "https")),
    Key("ssl.certificate.verify_cb", "callback"),
    Key(
        "ssl.truststore.location",
        "rejected",
        note="Java TrustStores are not supported, "
        "use `ssl.ca.location` and a certificate file instead.",
    ),
    Key(
        "sasl.jaas.config",
        "rejected",
        note="Java JAAS configuration is not supported, "
        "use `sasl.mechanism`, `sasl.username` and `sasl.password` instead.",
    ),
    Key("sasl.mechanisms", "string", "GSSAPI", attribute="sasl_mechanism"),
    Key("sasl.mechanism", "alias", note="sasl.mechanisms"),
    Key("sasl.kerberos.service.name", "string", "kafka"),
    Key("sasl.kerberos.principal", "string", "kafkaclient"),
    Key("sasl.kerberos.kinit.cmd", "string", is_ignored=True),
    Key("sasl.kerberos.keytab", "string"),
    Key("sasl.kerberos.min.time.before.relogin", "integer", 60_000, 0, 86_400_000, is_ignored=True),
    Key("sasl.username", "string", is_secret=True),
    Key("sasl.password", "string", is_secret=True),
    Key("sasl.oauthbearer.config", "string", is_secret=True),
    Key("enable.sasl.oauthbearer.unsecure.jwt", "boolean", False),
    Key("oauthbearer_token_refresh_cb", "callback"),
    Key("enable_sasl_queue", "boolean", False, is_ignored=True),
    Key("sasl.oauthbearer.method", "choice", "default", choices=same("default", "oidc")),
    Key("sasl.oauthbearer.client.id", "string"),
    Key(
        "sasl.oauthbearer.client.credentials.client.id", "alias", note="sasl.oauthbearer.client.id"
    ),
    Key(
        "sasl.oauthbearer.client.credentials.client.secret",
        "alias",
        note="sasl.oauthbearer.client.secret",
    ),
    Key("sasl.oauthbearer.client.secret", "string", is_secret=True),
    Key("sasl.oauthbearer.scope", "string"),
    Key("sasl.oauthbearer.extensions", "string"),
    Key("sasl.oauthbearer.token.endpoint.url", "string"),
    Key("sasl.oauthbearer.sub.claim.name", "string", "sub"),
    Key(
        "sasl.oauthbearer.grant.type",
        "choice",
        "client_credentials",
        choices=same("client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        unsupported_choices={
            "urn:ietf:params:oauth:grant-type:jwt-bearer": "not implemented, use oauth_cb"
        },
    ),
    Key(
        "sasl.oauthbearer.assertion.algorithm",
        "choice",
        "RS256",
        choices=same("RS256", "ES256"),
        unsupported="not implemented, use oauth_cb",
    ),
    Key(
        "sasl.oauthbearer.assertion.private.key.file",
        "string",
        is_secret=True,
        unsupported="not implemented, use oauth_cb",
    ),
    Key(
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "string",
        is_secret=True,
        unsupported="not implemented, use oauth_cb",
    ),
    Key(
        "sasl.oauthbearer.assertion.private.key.pem",
        "string",
        is_secret=True,
        unsupported="not implemented, use oauth_cb",
    ),
    Key("sasl.oauthbearer.assertion.file", "string", unsupported="not implemented, use oauth_cb"),
    Key(
        "sasl.oauthbearer.assertion.claim.aud",
        "string",
        unsupported="not implemented, use oauth_cb",
    ),
    Key(
        "sasl.oauthbearer.assertion.claim.exp.seconds",
        "integer",
        300,
        1,
        2_147_483_647,
        unsupported="not implemented, use oauth_cb",
    ),
    Key(
        "sasl.oauthbearer.assertion.claim.iss",
        "string",
        unsupported="not implemented, use oauth_cb",
    ),
    Key(
        "sasl.oauthbearer.assertion.claim.jti.include",
        "boolean",
        False,
        unsupported="not implemented, use oauth_cb",
    ),
    Key(
        "sasl.oauthbearer.assertion.claim.nbf.seconds",
        "integer",
        60,
        0,
        2_147_483_647,
        unsupported="not implemented, use oauth_cb",
    ),
    Key(
        "sasl.oauthbearer.assertion.claim.sub",
        "string",
        unsupported="not implemented, use oauth_cb",
    ),
    Key(
        "sasl.oauthbearer.assertion.jwt.template.file",
        "string",
        unsupported="not implemented, use oauth_cb",
    ),
    Key(
        "sasl.oauthbearer.metadata.authentication.type",
        "choice",
        "none",
        choices=same("none", "azure_imds", "aws_iam"),
        unsupported_choices={
            "azure_imds": "not implemented, use oauth_cb",
            "aws_iam": "not implemented, use oauth_cb",
        },
    ),
)
