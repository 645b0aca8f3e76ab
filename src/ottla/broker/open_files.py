"""How many files and connections this process may have open."""

from __future__ import annotations


def raise_open_file_limit() -> int | None:
    """Raise the soft limit to the hard one, as a server with many segments and connections needs;
    the new limit, or ``None`` where there is no such thing."""
    try:
        import resource
    except ImportError:
        return None
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
