"""Words, states and decisions. Pure: values in, values out; the standard library only."""
