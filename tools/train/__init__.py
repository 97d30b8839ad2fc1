"""Train small spiking transformers in PyTorch whose checkpoints look exactly like the official ones."""
