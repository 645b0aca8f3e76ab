"""Share groups: their members and what these read (KIP-932)."""
