"""Real servers that the tests start for themselves, on free ports of the loopback, in a temporary directory."""
