"""``kafka-dump-log``: what is in the files of a log directory."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from ottla.cli.kafka.entry import Tool
from ottla.cli.kafka.failures import OptionError, ToolFailure, UsageError
from ottla.cli.kafka.log_files import (
    dump_offset_index,
    dump_producer_snapshot,
    dump_time_index,
    dump_transaction_index,
)
from ottla.cli.kafka.log_segments import Payload, SegmentDump, dump_segment, text_payload
from ottla.cli.kafka.options import Options, flag, integer, optional, value

MOST_BYTES = 2**31 - 1
OPTIONS = (
    value("files", "file,file", "The files, commas between them. Required."),
    flag("print-data-log", "Show keys and values."),
    flag("deep-iteration", "Show records, not only batches."),
    flag("skip-record-metadata", "Show of records nothing but keys and values."),
    flag("verify-index-only", "Compare indexes with the log, and show only what differs."),
    flag("index-sanity-check", "Check indexes by themselves."),
    integer("max-message-size", "bytes", "How large a batch may be.", default="5242880"),
    integer("max-bytes", "bytes", "How much of a segment to read.", default=str(MOST_BYTES)),
    optional("key-decoder-class", "class", "Kafka's own decoders of keys.")._replace(
        default="org.apache.kafka.tools.api.StringDecoder"
    ),
    optional("value-decoder-class", "class", "Kafka's own decoders of values.")._replace(
        default="org.apache.kafka.tools.api.StringDecoder"
    ),
    flag("offsets-decoder", "Show the records of __consumer_offsets."),
    flag("transaction-log-decoder", "Show the records of __transaction_state."),
    flag("share-group-state-decoder", "Show the records of __share_group_state."),
    flag("cluster-metadata-decoder", "Show the records of __cluster_metadata."),
    flag("remote-log-metadata-decoder", "Show the records of __remote_log_metadata."),
)
_DECODERS = (
    "offsets-decoder", "transaction-log-decoder", "share-group-state-decoder",
    "cluster-metadata-decoder", "remote-log-metadata-decoder",
)  # fmt: skip


def run(options: Options) -> int:
    """Check the options, then dump file after file."""
    if not options.has("files"):
        raise UsageError('Missing required argument "[files]"')
    for decoder in _DECODERS:
        others = [other for other in _DECODERS if other != decoder]
        options.forbid(decoder, *others)
    try:
        show = SegmentDump(
            shows_records=options.has("deep-iteration") or _shows_data(options),
            payload=_payload(options) if _shows_data(options) else None,
            skips_metadata=options.has("skip-record-metadata"),
            most_bytes=options.number("max-bytes") or 0,
        )
        largest = options.number("max-message-size") or 0
    except OptionError as failure:
        raise ToolFailure(failure.message) from None
    complaints: list[str] = []
    for path in options.text("files").split(","):
        print(f"Dumping {path}")
        try:
            complaints += _dump(path, show, options, largest)
        except OSError as error:
            raise ToolFailure(f"{path} can't be read: {error.strerror}") from None
    sys.stdout.flush()
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 0


def _shows_data(options: Options) -> bool:
    return options.has("print-data-log") or any(options.has(each) for each in _DECODERS)


def _payload(options: Options) -> Payload:
    from ottla.cli.kafka import internal_records
    from ottla.cli.kafka.log_segments import metadata_payload, record_payload

    if options.has("cluster-metadata-decoder"):
        return metadata_payload
    if options.has("remote-log-metadata-decoder"):
        from ottla.cli.kafka.remote_log_text import remote_log_payload

        return remote_log_payload

    kinds: dict[str, internal_records.Decoder] = {
        "offsets-decoder": internal_records.decode_group_record,
        "transaction-log-decoder": internal_records.decode_transaction_record,
        "share-group-state-decoder": internal_records.decode_share_record,
    }
    for name, decode in kinds.items():
        if options.has(name):
            return record_payload(decode)
    names = options.text("key-decoder-class"), options.text("value-decoder-class")
    return text_payload(*names)


def _dump(path: str, show: SegmentDump, options: Options, largest: int) -> list[str]:
    """Dump one file; returns what is wrong with it."""
    suffix = os.path.splitext(path)[1]
    verifies, checks = options.has("verify-index-only"), options.has("index-sanity-check")
    dumps: dict[str, Callable[[], list[str]]] = {
        ".log": lambda: dump_segment(path, show),
        ".index": lambda: dump_offset_index(path, largest, verifies=verifies, checks=checks),
        ".timeindex": lambda: dump_time_index(path, verifies=verifies, checks=checks),
        ".snapshot": lambda: dump_producer_snapshot(path),
        ".checkpoint": lambda: dump_segment(path, show),
        ".txnindex": lambda: dump_transaction_index(path),
    }
    if suffix in dumps:
        return dumps[suffix]()
    return [f"Ignoring unknown file {path}"]


TOOL = Tool("Shows what is in the files of a log directory.", OPTIONS, run)
