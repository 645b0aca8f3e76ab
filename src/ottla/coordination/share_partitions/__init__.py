"""Share partitions: which records of a partition are in delivery to a share group (KIP-932)."""
