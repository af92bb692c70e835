"""The BOINC door behind the wire: users, hosts, tasks, credit, batches."""
