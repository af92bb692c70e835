"""The BOINC door: what is served under /boinc."""
