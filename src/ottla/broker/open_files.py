"""How many files and connections this process may have open."""

from __future__ import annotations

import sys

# The rest is for segments, indexes and the second descriptors of connections that fetch.
_CONNECTIONS_SHARE = 3 / 4


def raise_open_file_limit() -> int | None:
    """Raise the soft limit to the hard one, as a server with many segments and connections needs;
    the limit that applies now, or ``None`` where there is none."""
    try:
        import resource
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        # macOS says "unlimited" and takes less.
        hard = soft
    return None if hard == resource.RLIM_INFINITY else hard


def max_connections_within(open_file_limit: int | None) -> int:
    """How many connections the open files allow, so that logs can always be opened."""
    if open_file_limit is None:
        return sys.maxsize
    return int(open_file_limit * _CONNECTIONS_SHARE)
