"""Side by side: evsim and dense PyTorch on the same weights and inputs. The command is ``tools.benchmark``."""
