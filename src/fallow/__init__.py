"""fallow puts idle machines to work on batch AI inference."""
