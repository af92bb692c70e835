"""BOINC's protocols: XML bytes to values and back. No I/O, no decisions."""
