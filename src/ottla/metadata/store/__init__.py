"""Where the cluster's metadata is kept: the interface and its drivers."""
