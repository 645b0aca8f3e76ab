"""What a consumer decides: where to read, what to fetch, which offsets to commit. Sans-IO."""
