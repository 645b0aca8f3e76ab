from ottla.records._reference import RecordBuffer as RecordBuffer
from ottla.records._reference import check_batch as check_batch
from ottla.records._reference import check_crc as check_crc
from ottla.records._reference import crc32c as crc32c
from ottla.records._reference import decode_records as decode_records
from ottla.records._reference import stamp_plain_batch as stamp_plain_batch
from ottla.records._reference import walk_records as walk_records

NAME: str
