"""A network from a checkpoint, a weights file or the name of a bundled one."""
