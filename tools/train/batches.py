"""Mini-batches: shuffling, augmentation, normalisation; all random numbers come from one generator an epoch."""

from collections.abc import Iterator

import torch

from tools.train.datasets import Dataset

__all__ = ["epoch_batches", "prepare", "shift"]


def shift(x: torch.Tensor, pixels: int, generator: torch.Generator) -> torch.Tensor:
    """Move each sample by up to `pixels` in both directions; what comes in is zero."""
    if not pixels:
        return x
    side = x.shape[-2:]
    padded = torch.nn.functional.pad(x, (pixels,) * 4)
    dy, dx = torch.randint(0, 2 * pixels + 1, (2, len(x)), generator=generator).tolist()
    return torch.stack([s[..., a : a + side[0], b : b + side[1]] for s, a, b in zip(padded, dy, dx, strict=True)])


def prepare(x: torch.Tensor, data: Dataset, in_channels: int) -> torch.Tensor:
    """Counts or pixels as float32; images normalised, events with their sum as a third channel where asked."""
    x = x.float()
    if data.mean is None:
        return torch.cat([x, x.sum(2, keepdim=True)], 2) if in_channels == 3 else x
    mean, std = (torch.tensor(values).view(-1, 1, 1) * 255 for values in (data.mean, data.std))
    x = (x - mean) / std
    return x if x.shape[1] == in_channels else x.expand(-1, in_channels, -1, -1)


def epoch_batches(data: Dataset, args, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Shuffled, augmented training batches; the same for the same seed and epoch, so a resumed run repeats."""
    generator = torch.Generator().manual_seed(args.seed * 100_003 + epoch)
    n = min(args.n_train or len(data.y_train), len(data.y_train))
    pool = torch.randperm(len(data.y_train), generator=torch.Generator().manual_seed(args.seed))[:n]
    order = pool[torch.randperm(n, generator=generator)]
    for rows in order.split(args.batch_size):
        if len(rows) < 2:
            continue  # BatchNorm needs two
        x = torch.from_numpy(data.x_train[rows.numpy()].astype("float32"))
        if args.hflip and torch.rand((), generator=generator) < args.hflip:
            x = x.flip(-1)
        yield prepare(shift(x, args.shift, generator), data, args.in_channels), torch.from_numpy(data.y_train[rows])
