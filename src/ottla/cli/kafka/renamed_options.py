"""Options that Kafka has renamed: the old name still works, but not beside the new one."""

from __future__ import annotations

from ottla.cli.kafka.failures import UsageError
from ottla.cli.kafka.options import Options

WARNING = "{}--{} is deprecated and will be removed in a future version. Use --{} instead."


def given_name(
    options: Options, new: str, old: str, *, prefix: str = "Option ", old_first: bool = True
) -> str:
    """Which of two names of an option is used; the new one when neither is.

    Args:
        options: what was given.
        new: today's name.
        old: the name before.
        prefix: how the warning begins.
        old_first: which of the two is named first when both are given.

    Raises:
        UsageError: both are given.
    """
    if options.has(new) and options.has(old):
        first, second = (old, new) if old_first else (new, old)
        raise UsageError(f"Options --{first} and --{second} cannot be specified together.")
    if not options.has(old):
        return new
    print(WARNING.format(prefix, old, new))
    return old
