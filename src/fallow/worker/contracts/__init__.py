"""How an image is run and what counts as its answers. The standard library only."""
