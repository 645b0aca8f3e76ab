"""Changing the codec leaves everything else as it was."""

from __future__ import annotations

import pytest

from ottla.records.batch import read_header
from ottla.records.compression import Codec
from ottla.records.encode import encode_batch
from ottla.records.errors import BatchTooLarge
from ottla.records.recompress import recompress
from ottla.records.record import Record

RECORDS = [Record(7 + index, 1000 + index, b"key", b"value" * 100) for index in range(20)]
PRODUCER = {"producer_id": 5, "producer_epoch": 1, "base_sequence": 9}


@pytest.mark.parametrize("target", Codec)
@pytest.mark.parametrize("source", Codec)
def test_the_batch_is_the_one_its_producer_would_have_sent(source: Codec, target: Codec) -> None:
    batch = encode_batch(RECORDS, codec=source, leader_epoch=3, **PRODUCER)
    recompressed = recompress(batch, target, None, max_decompressed_bytes=1 << 20)
    assert recompressed == encode_batch(RECORDS, codec=target, leader_epoch=3, **PRODUCER)
    assert read_header(recompressed).codec is target


def test_a_bomb_is_refused() -> None:
    batch = encode_batch(RECORDS, codec=Codec.ZSTD)
    with pytest.raises(BatchTooLarge):
        recompress(batch, Codec.NONE, None, max_decompressed_bytes=1000)
