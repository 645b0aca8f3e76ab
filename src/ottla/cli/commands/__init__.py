"""One module per subject of the ``ottla`` command."""
