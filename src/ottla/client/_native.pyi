from ottla.client._reference import Accumulator as Accumulator
from ottla.client._reference import ConsumerBase as ConsumerBase
from ottla.client._reference import Deliveries as Deliveries
from ottla.client._reference import DeliveryFuture as DeliveryFuture
from ottla.client._reference import Message as Message
from ottla.client._reference import MessageCursor as MessageCursor
from ottla.client._reference import PollingProducerBase as PollingProducerBase
from ottla.client._reference import ProducerBase as ProducerBase
from ottla.client._reference import ProducerBatch as ProducerBatch
from ottla.client._reference import RecordColumns as RecordColumns
from ottla.client._reference import RecordLines as RecordLines
from ottla.client._reference import append_lines as append_lines
from ottla.client._reference import append_rows as append_rows
from ottla.client._reference import consistent as consistent
from ottla.client._reference import fnv1a as fnv1a
from ottla.client._reference import free_kept_buffers as free_kept_buffers
from ottla.client._reference import murmur2 as murmur2

NAME: str
