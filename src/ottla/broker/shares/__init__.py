"""Share groups in the broker (KIP-932); nothing of it is imported before somebody asks."""
