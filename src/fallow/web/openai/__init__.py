"""The OpenAI door: the routes under /v1. docs/openai.md says what they do, protocols/openai how it is spelled."""
