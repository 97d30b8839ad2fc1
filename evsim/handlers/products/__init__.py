"""Products of two operands, both of which come with the input."""
