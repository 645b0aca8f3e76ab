"""Placeholder until the native twin lands; the pure-Python twin is used meanwhile."""
raise ImportError("no native twin yet")
