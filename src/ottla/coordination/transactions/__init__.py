"""The transaction coordinator: one shard of ``__transaction_state``, decide and replay."""
