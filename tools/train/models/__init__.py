"""The four families in plain PyTorch: the official maths, the official parameter names and shapes."""
