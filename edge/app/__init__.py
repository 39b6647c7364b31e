"""Running it: the two processes, the supervisor over them, and the listener that says how they are."""
