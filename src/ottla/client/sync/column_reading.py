"""Records read into columns or lines, without a message for each of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ottla.client import consumer_arguments as arguments
from ottla.client.errors import KafkaException

if TYPE_CHECKING:
    from ottla.client._reference import RecordColumns, RecordLines
    from ottla.client.sync.consumer import Consumer


def read_columns(
    consumer: Consumer,
    columns: RecordColumns | RecordLines,
    num_messages: int,
    timeout: float,
    *,
    is_hasty: bool = False,
) -> None:
    """Have ``columns`` hold what arrives; what never reaches the user is read again.

    Args:
        consumer: whose inbox is read.
        columns: empty.
        num_messages: how many records at most.
        timeout: how long to wait, in seconds; -1 for as long as it takes.
        is_hasty: whether to wait only until there is anything.

    Raises:
        KafkaException: instead of an error message, when no record came before it.
    """
    limit_s = arguments.seconds(timeout)
    count = arguments.message_count(num_messages)
    with consumer._opened():
        consumer._begin_polling()
        try:
            _fill(consumer, columns, count, limit_s, is_hasty)
        except BaseException:
            consumer._give_back(arguments.first_of_runs(columns.runs))
            raise
        finally:
            consumer._end_polling()


def _fill(
    consumer: Consumer,
    columns: RecordColumns | RecordLines,
    count: int,
    limit_s: float | None,
    is_hasty: bool,
) -> None:
    deadline = None if limit_s is None else time.monotonic() + limit_s
    while True:
        consumer._serve()
        error = consumer._inbox.next_error() or consumer._inbox.take_columns(columns, count)
        if error is not None:
            if columns.count:
                consumer._inbox.put_back_error(error)
                return
            raise KafkaException(error.error())
        if columns.count == count or columns.is_full or (is_hasty and columns.count):
            return
        left_s = None if deadline is None else deadline - time.monotonic()
        if (left_s is not None and left_s <= 0) or not consumer._callbacks.wait(left_s):
            return
