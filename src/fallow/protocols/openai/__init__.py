"""OpenAI's Files, Uploads, Batches and Models, in bytes and JSON. Translators only: no I/O, no decisions."""
