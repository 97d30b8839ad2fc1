"""Small data sets as arrays: frames [n, T, C, H, W] of event counts, or images [n, C, H, W] in 0..255."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["DATASETS", "Dataset", "read_dataset"]

SIDE = 32  # every small network here sees 32x32


@dataclass(frozen=True)
class Dataset:
    """A training and a test set.

    Parameters
    ----------
    x_train, x_test : ndarray
        uint8 images [n, C, H, W] or uint16 event counts [n, T, C, H, W].
    y_train, y_test : int64 [n]
        Labels.
    mean, std : tuple of float or None
        What images are normalised with after division by 255 (None: event counts, used as they are).
    n_classes : int
        Number of classes.
    card : str
        What it is and what it may be used for; goes on the card of a network.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    n_classes: int
    card: str

    @property
    def in_channels(self) -> int:
        return self.x_train.shape[-3]


def slice_by_time(t: np.ndarray, n_steps: int) -> np.ndarray:
    """Step of each event: slots of floor((t_end - t_0) / n_steps), the last one open-ended."""
    slot = max(1, int(t[-1] - t[0]) // n_steps)
    return np.minimum((t - t[0]) // slot, n_steps - 1)


def slice_by_number(t: np.ndarray, n_steps: int) -> np.ndarray:
    """Step of each event: equal numbers of events, the last step takes the remainder."""
    return np.minimum(np.arange(t.size) // max(1, t.size // n_steps), n_steps - 1)


def count_frames(step, p, y, x, shape) -> np.ndarray:
    """Event counts of shape (T, 2, H, W)."""
    flat = np.ravel_multi_index((step, p, y, x), shape)
    return np.bincount(flat, minlength=np.prod(shape)).reshape(shape).astype(np.uint16)


def decode_nmnist(raw: bytes) -> tuple[np.ndarray, ...]:
    """Five bytes an event: x, y, polarity (one bit) and time in microseconds (23 bits)."""
    b = np.frombuffer(raw, np.uint8).reshape(-1, 5).astype(np.int64)
    t = (b[:, 2] & 127) << 16 | b[:, 3] << 8 | b[:, 4]
    return t, b[:, 0], b[:, 1], b[:, 2] >> 7


def nmnist_frames(raw: bytes, n_steps: int) -> np.ndarray:
    """Counts [T, 2, 32, 32]: slices of equal time, then the centre of 34x34."""
    t, x, y, p = decode_nmnist(raw)
    return count_frames(slice_by_time(t, n_steps), p, y, x, (n_steps, 2, 34, 34))[..., 1:33, 1:33]


def _nmnist_files(root: Path):
    """(part, label, bytes) in the order of the ids, from NMNIST/{Train,Test}/<digit>/<id>.bin in a folder or zip."""
    archive = root if root.suffix == ".zip" else next(iter(sorted(root.glob("nmnist*.zip"))), None)
    if archive is None:
        for path in sorted(root.rglob("*.bin"), key=lambda path: path.name):
            yield path.parts[-3], int(path.parts[-2]), path.read_bytes()
        return
    with zipfile.ZipFile(archive) as z:
        for name in sorted((n for n in z.namelist() if n.endswith(".bin")), key=lambda n: n.split("/")[-1]):
            part, label, _ = name.split("/")[-3:]
            yield part, int(label), z.read(name)


def read_nmnist(root: Path, n_steps: int) -> Dataset:
    """N-MNIST, whole or the 1,000 + 100 subset."""
    parts = {"Train": ([], []), "Test": ([], [])}
    for part, label, raw in _nmnist_files(root):
        parts[part][0].append(nmnist_frames(raw, n_steps))
        parts[part][1].append(label)
    (x, y), (x_test, y_test) = ((np.stack(frames), np.array(labels)) for frames, labels in parts.values())
    card = f"N-MNIST (Orchard et al. 2015, CC BY-SA 4.0 as far as we know), {len(y)} training and {len(y_test)} test"
    return Dataset(x, y, x_test, y_test, None, None, 10, card + " recordings")


def read_mnist(root: Path, n_steps: int) -> Dataset:
    """MNIST with a border of two black pixels; black stays exactly zero, so that silence costs nothing."""
    z = np.load(root if root.suffix == ".npz" else root / "mnist_full.npz")
    x, x_test = (np.pad(z[key], ((0, 0), (2, 2), (2, 2)))[:, None] for key in ("train_x", "test_x"))
    card = "MNIST (LeCun et al.), 60,000 + 10,000 images padded to 32x32"
    labels = (z[key].astype(np.int64) for key in ("train_y", "test_y"))
    y, y_test = labels
    return Dataset(x, y, x_test, y_test, (0.0,), (1.0,), 10, card)


def read_cifar10(root: Path, n_steps: int, n_test: int = 500) -> Dataset:
    """A few thousand CIFAR-10 images; the last ones, of the training split too, serve as the test set."""
    z = np.load(root if root.suffix == ".npz" else root / "cifar10_train_4000.npz")
    x, y = z["x"].transpose(0, 3, 1, 2), z["y"].astype(np.int64)
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    card = f"CIFAR-10, {len(y) - n_test} training and {n_test} test images, all from the official TRAINING split"
    return Dataset(x[:-n_test], y[:-n_test], x[-n_test:], y[-n_test:], mean, std, 10, card)


def read_dvsgesture(root: Path, n_steps: int) -> Dataset:
    """The ten gesture clips, cut in quarters; there is no honest test set in them, so both parts are the same."""
    x, y = [], []
    folder = root if list(root.glob("clip_*.npz")) else root / "dvs_gesture"
    for path in sorted(folder.glob("clip_*.npz")):
        z = np.load(path)
        for part in np.array_split(np.arange(z["t"].size), 4):
            t, px, py, p = (z[key][part].astype(np.int64) for key in "txyp")
            step = slice_by_number(t, n_steps)
            x.append(count_frames(step, p, py // 4, px // 4, (n_steps, 2, SIDE, SIDE)))
            y.append(int(path.stem.split("_")[1]) - 1)
    x, y = np.stack(x), np.array(y)
    card = "ten DVS128 Gesture clips (Amir et al. 2017, CC BY 4.0) in quarters, NO test set: never an accuracy"
    return Dataset(x, y, x, y, None, None, 11, card)


DATASETS = {"nmnist": read_nmnist, "mnist": read_mnist, "cifar10": read_cifar10, "dvsgesture": read_dvsgesture}


def read_dataset(name: str, root: str | Path, n_steps: int) -> Dataset:
    """One of DATASETS by name, from a folder or the file itself."""
    return DATASETS[name](Path(root), n_steps)
