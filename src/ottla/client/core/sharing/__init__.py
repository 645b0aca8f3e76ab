"""The share consumer's decisions (KIP-932): membership, sessions, acquired records."""
