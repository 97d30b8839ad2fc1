"""Events as they arrive: bytes from a growing file or a pipe, decoded piece by piece, cut into windows of time."""
