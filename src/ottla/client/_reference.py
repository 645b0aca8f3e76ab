"""The pure-Python twin of ``_native``: the same names, the same answers, slower.

``backend`` chooses one of the two; nothing else imports either.
"""

from __future__ import annotations

from ottla.client._reference_accumulator import Accumulator
from ottla.client._reference_batch import Deliveries, ProducerBatch, free_kept_buffers
from ottla.client._reference_columns import RecordColumns
from ottla.client._reference_consumer import ConsumerBase
from ottla.client._reference_cursor import MessageCursor
from ottla.client._reference_future import DeliveryFuture
from ottla.client._reference_lines import RecordLines, append_lines
from ottla.client._reference_message import Message
from ottla.client._reference_partitioners import consistent, fnv1a, murmur2
from ottla.client._reference_producer import PollingProducerBase, ProducerBase
from ottla.client._reference_rows import append_rows

__all__ = [
    "NAME",
    "Accumulator",
    "ConsumerBase",
    "Deliveries",
    "DeliveryFuture",
    "Message",
    "MessageCursor",
    "PollingProducerBase",
    "ProducerBase",
    "ProducerBatch",
    "RecordColumns",
    "RecordLines",
    "append_lines",
    "append_rows",
    "consistent",
    "fnv1a",
    "free_kept_buffers",
    "murmur2",
]

NAME = "python"
