"""The training loop: AdamW, warm-up and cosine, label smoothing, TET, an optional price on spikes."""

import csv
import math
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from torch import nn
from torch.nn.functional import cross_entropy

from tools.train.batches import epoch_batches
from tools.train.checkpoint import load_checkpoint, save_checkpoint
from tools.train.datasets import Dataset
from tools.train.evaluate import evaluate
from tools.train.rates import watch_rates

__all__ = ["fit", "parameter_groups"]

console = Console()


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Decay matrices and kernels only, as timm does."""
    flat = [p for p in model.parameters() if p.ndim <= 1]
    rest = [p for p in model.parameters() if p.ndim > 1]
    return [{"params": flat, "weight_decay": 0.0}, {"params": rest, "weight_decay": weight_decay}]


def cosine(step: int, n_steps: int, n_warmup: int) -> float:
    """Share of the peak learning rate."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    return 0.5 * (1 + math.cos(math.pi * (step - n_warmup) / max(1, n_steps - n_warmup)))


def classification_loss(model, x, y, args):
    """Loss and logits [B, classes]; TET asks every step for the right answer, not only their mean."""
    steps = model.steps(x)
    logits = steps.mean(0)
    if not args.TET:
        return cross_entropy(logits, y, label_smoothing=args.smoothing), logits
    each = cross_entropy(steps.flatten(0, 1), y.repeat(len(steps)), label_smoothing=args.smoothing)
    pull = (steps - args.TET_means).square().mean()
    return (1 - args.TET_lamb) * each + args.TET_lamb * pull, logits


def train_epoch(model, optimizer, scheduler, data, args, epoch) -> dict:
    """One pass; mean loss and accuracy on the training samples as they were seen."""
    model.train()
    total = correct = seen = 0
    batches = epoch_batches(data, args, epoch)
    n_batches = -(-(args.n_train or len(data.y_train)) // args.batch_size)
    with watch_rates(model) as rates:
        for x, y in track(batches, f"epoch {epoch}", n_batches, console=console, disable=not console.is_terminal):
            loss, logits = classification_loss(model, x, y, args)
            if args.rate_penalty:
                loss = loss + args.rate_penalty * torch.stack(list(rates.values())).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), args.clip_grad)
            optimizer.step()
            scheduler.step()
            total, seen = total + float(loss.detach()) * len(y), seen + len(y)
            correct += int((logits.argmax(1) == y).sum())
    return {"loss": total / seen, "train_accuracy": correct / seen}


def append_row(path: Path, row: dict) -> None:
    """One line of the CSV log; the header comes with the first."""
    fresh = not path.exists()
    with path.open("a", newline="") as f:
        writer = csv.DictWriter(f, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def make_optimizer(model, data, args):
    """AdamW and its schedule, counted in batches."""
    optimizer = torch.optim.AdamW(parameter_groups(model, args.weight_decay), lr=args.lr)
    a_epoch = -(-(args.n_train or len(data.y_train)) // args.batch_size)
    warmup, n_steps = int(args.warmup_epochs * a_epoch), args.epochs * a_epoch
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step, n_steps, warmup))
    return optimizer, scheduler


def resume(path, model, optimizer, scheduler, data, args) -> int:
    """Continue a run of the same arguments: the first epoch still to do."""
    wrapper = load_checkpoint(Path(path))
    model.load_state_dict(wrapper["state_dict"])
    optimizer.load_state_dict(wrapper["optimizer"])
    first = wrapper["epoch"] + 1
    scheduler.last_epoch = first * -(-(args.n_train or len(data.y_train)) // args.batch_size)
    return first


def fit(model: nn.Module, data: Dataset, args, folder: Path):
    """Train to the last epoch and return the optimizer; the test set is only watched, never selects."""
    optimizer, scheduler = make_optimizer(model, data, args)
    first = resume(args.resume, model, optimizer, scheduler, data, args) if args.resume else 0
    if not first:
        (folder / "log.csv").unlink(missing_ok=True)
    for epoch in range(first, args.epochs):
        start, lr = time.perf_counter(), optimizer.param_groups[0]["lr"]
        row = {"epoch": epoch, "lr": lr, **train_epoch(model, optimizer, scheduler, data, args, epoch)}
        row["seconds"] = time.perf_counter() - start
        score = evaluate(model, data, args, args.n_watch)
        row |= {"test_accuracy": score.accuracy, "n_test": score.n, "mean_rate": score.mean_rate}
        append_row(folder / "log.csv", row)
        save_checkpoint(folder / "last.pth.tar", model, optimizer, args, epoch, 100 * score.accuracy)
        console.print(" ".join(f"{k} {v:.4g}" for k, v in row.items()), soft_wrap=True)
    return optimizer
