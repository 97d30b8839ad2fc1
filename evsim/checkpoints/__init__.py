"""Reading trained weights without torch: PyTorch checkpoints, safetensors, and evsim's own `.npz` weights file."""

from evsim.checkpoints.checkpoint import Checkpoint, read_checkpoint
from evsim.checkpoints.weights import Weights, read_weights, write_weights

__all__ = ["Checkpoint", "Weights", "read_checkpoint", "read_weights", "write_weights"]
