"""How numbers are added: compiled kernels, lanes of vectors, whole numbers and their scales."""
