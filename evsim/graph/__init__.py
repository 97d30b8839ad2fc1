"""A network as data: its graph of operations, where it comes from, what it means, and the handlers it becomes."""
