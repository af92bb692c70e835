"""Ways to run a command in isolation. The standard library only."""
