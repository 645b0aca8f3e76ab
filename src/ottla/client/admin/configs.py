"""Resources that have a configuration, and its entries."""

from __future__ import annotations

from functools import total_ordering

from ottla.client.enumerations import AlterConfigOpType, ConfigSource, ResourceType
from ottla.client.errors import KafkaError


class ConfigEntry:
    """One entry of a configuration: what ``describe_configs`` answers, or one change of it.

    Args:
        name: the entry's name.
        value: its value; None when it is not set or secret.
        source: where the value comes from; in answers the number of the ``ConfigSource``.
        is_read_only: it can't be changed at run time.
        is_default: it has its default value.
        is_sensitive: it is secret, so ``value`` is None.
        is_synonym: this is a synonym of another entry.
        synonyms: the other sources of this entry, by name.
        incremental_operation: what ``incremental_alter_configs`` shall do with it.
    """

    def __init__(
        self,
        name: str,
        value: str | None,
        source: ConfigSource | int = ConfigSource.UNKNOWN_CONFIG,
        is_read_only: bool = False,
        is_default: bool = False,
        is_sensitive: bool = False,
        is_synonym: bool = False,
        synonyms: dict[str, ConfigEntry] | None = None,
        incremental_operation: AlterConfigOpType | None = None,
    ) -> None:
        self.name = name
        self.value = value
        self.source = source
        self.is_read_only = bool(is_read_only)
        self.is_default = bool(is_default)
        self.is_sensitive = bool(is_sensitive)
        self.is_synonym = bool(is_synonym)
        self.synonyms = {} if synonyms is None else synonyms
        self.incremental_operation = incremental_operation

    def __repr__(self) -> str:
        return f"ConfigEntry({self})"

    def __str__(self) -> str:
        return f'{self.name}="{self.value}"'


@total_ordering
class ConfigResource:
    """A topic, broker or group whose configuration is read or changed.

    Args:
        restype: what it is: a member, its name in any case or its number.
        name: the topic's name, the broker's id as text or the group's id.
        set_config: entries to set with ``alter_configs``.
        described_configs: what ``describe_configs`` found; set by the client.
        error: why it found nothing; set by the client.
        incremental_configs: changes for ``incremental_alter_configs``.

    Raises:
        ValueError: there is no name, or no such kind of resource.
    """

    Type = ResourceType

    def __init__(
        self,
        restype: ResourceType | str | int,
        name: str,
        set_config: dict[str, str] | None = None,
        described_configs: dict[str, ConfigEntry] | None = None,
        error: KafkaError | None = None,
        incremental_configs: list[ConfigEntry] | None = None,
    ) -> None:
        if name is None:
            raise ValueError("Expected resource name to be a string")
        self.restype = _resource_type(restype)
        self.restype_int = int(self.restype.value)
        self.name = name
        self.set_config_dict = {} if set_config is None else set_config.copy()
        self.incremental_configs = list(incremental_configs or ())
        self.configs = described_configs
        self.error = error

    def __repr__(self) -> str:
        error = "" if self.error is None else f",{self.error!r}"
        return f"ConfigResource({self.restype},{self.name}{error})"

    def __hash__(self) -> int:
        return hash((self.restype, self.name))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConfigResource):
            return NotImplemented
        return (self.restype, self.name) == (other.restype, other.name)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, ConfigResource):
            return NotImplemented
        return (self.restype, self.name) < (other.restype, other.name)

    def __len__(self) -> int:
        return len(self.set_config_dict)

    def set_config(self, name: str, value: str, overwrite: bool = True) -> None:
        """Set an entry for ``alter_configs``, which resets all entries that are not given.

        Args:
            name: the entry's name.
            value: its value.
            overwrite: replace a value that was set before.
        """
        if overwrite or name not in self.set_config_dict:
            self.set_config_dict[name] = value

    def add_incremental_config(self, config_entry: ConfigEntry) -> None:
        """Add one change for ``incremental_alter_configs``."""
        self.incremental_configs.append(config_entry)


def _resource_type(restype: ResourceType | str | int) -> ResourceType:
    if isinstance(restype, str):
        try:
            return ResourceType[restype.upper()]
        except KeyError:
            message = f'Unknown resource type "{restype}": should be a ConfigResource.Type'
            raise ValueError(message) from None
    return ResourceType(restype)
