"""The ``ottla`` command's parts for people: one module per subcommand, click only in here."""
