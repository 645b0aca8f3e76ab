"""Conversations that prove to a broker who the client is (SASL); sans-IO."""
