from ottla.records._reference import RecordBuffer as RecordBuffer
from ottla.records._reference import check_batch as check_batch
from ottla.records._reference import check_crc as check_crc
from ottla.records._reference import crc32c as crc32c
from ottla.records._reference import decode_records as decode_records
from ottla.records._reference import stamp_plain_batch as stamp_plain_batch
from ottla.records._reference import walk_records as walk_records
from ottla.records._reference_compaction import OffsetMap as OffsetMap
from ottla.records._reference_compaction import clean_batches as clean_batches
from ottla.records._reference_compaction import filter_records as filter_records
from ottla.records._reference_compaction import index_batches as index_batches
from ottla.records._reference_compaction import index_records as index_records

NAME: str
