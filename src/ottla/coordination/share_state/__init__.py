"""The share coordinator: what has become of the records in delivery to share groups (KIP-932)."""
