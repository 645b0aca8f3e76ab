"""Programs that use one client library each, in a process of their own, and tell what it cost."""
