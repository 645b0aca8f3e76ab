"""The admin client's core: what each call asks whom, and what the answers say. No IO."""
