"""The directories that a broker's properties name, and what each says of itself."""

from __future__ import annotations

import os
from typing import Final

from ottla.cli.kafka.failures import ToolFailure
from ottla.log.errors import MalformedFile
from ottla.log.text_files import MetaProperties, parse_meta_properties

META_PROPERTIES: Final = "meta.properties"
# What Kafka takes where log.dirs is not set.
_DEFAULT_DIRECTORY: Final = "/tmp/kafka-logs"  # noqa: S108


def metadata_directory(entries: dict[str, str]) -> str:
    """The directory in which Apache Kafka keeps the cluster's metadata."""
    text = entries.get("log.dirs") or entries.get("log.dir") or _DEFAULT_DIRECTORY
    return entries.get("metadata.log.dir", "").strip() or text.split(",")[0].strip()


def log_directories(entries: dict[str, str]) -> list[str]:
    """The directories that a broker's properties name."""
    text = entries.get("log.dirs") or entries.get("log.dir") or _DEFAULT_DIRECTORY
    listed = [path.strip() for path in text.split(",")]
    metadata = entries.get("metadata.log.dir", "").strip()
    return sorted({path for path in (*listed, metadata) if path})


def read_meta_properties(directory: str) -> MetaProperties | None:
    """What a directory says of itself, None if it is not formatted.

    Raises:
        ToolFailure: it says what makes no sense.
    """
    try:
        with open(os.path.join(directory, META_PROPERTIES), "rb") as file:
            return parse_meta_properties(file.read(1 << 16))
    except FileNotFoundError:
        return None
    except MalformedFile as error:
        raise ToolFailure(f"{directory}/{META_PROPERTIES} can't be read: {error}") from None
