"""Record batches (format v2): encode, decode, validate, compress."""
