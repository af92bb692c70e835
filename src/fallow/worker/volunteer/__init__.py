"""The volunteer's side: the one program that a BOINC client runs, built into a single file by wiring/runner.py.

The standard library only. Linux and macOS; Windows is not supported: its clients run containers in a WSL distribution,
where the Linux client does better.
"""
