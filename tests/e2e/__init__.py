"""The whole system as its users run it: real processes, real containers, real databases and object stores."""
