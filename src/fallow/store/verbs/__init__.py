"""The verbs of a transaction, one noun a file, the same on every database."""
