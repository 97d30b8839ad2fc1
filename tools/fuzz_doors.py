"""The doors at which `fuzz_readers.py` knocks beside the recordings: checkpoints and weights files.

Both are archives with check sums, so half of the damage is done inside a member (a pickle, a JSON header, an array) and
packed again. A case is what a person would do with the file: look at it, import or build it, run it.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["DOORS", "Door", "change_json", "damage_archive", "load_and_run", "outcome", "watch_execution"]

Damage = Callable[[bytes, bytes, np.random.Generator], bytes]

_STRANGE = [
    None, True, -1, 0, 1, 10**6, 10**30, 1e300, -0.5, 1e-30, "", "x", "\x1b[31m", "\ud800", "[/bold]", "9" * 50, [],
    [1], [[]], 99_999, [99_999] * 3, 9999, {}, {"x": 1}, ["\x00"], "lif", "1111",
]  # fmt: skip
_NUMBERS = [np.nan, np.inf, -np.inf, 3e38, -1.0, 1e-45, 0.0, 1e20, -1e20]
_EXECUTION = ("os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect",
              "pickle.find_class", "ctypes.dlopen", "shutil.rmtree", "webbrowser.open")  # fmt: skip

_TOLD = {"img_size": "32", "n_steps": "2", "pooling_stat": "1111", "dvs_mode": "true", "n_heads": "2"}

_executed: list[str] = []


@dataclass(frozen=True)
class Door:
    """How to make sound files for a reader, how to damage them, and what to do with them.

    Parameters
    ----------
    write_seeds : callable
        Given a folder, paths of sound files by name.
    damage : callable
        Given the bytes of a file, those of another, a generator, and the general kinds of damage.
    run : callable
        Given a path, "sound", "refused" or what went wrong.
    patience : float
        Seconds that a case may take, where kernels are compiled on the way.
    """

    write_seeds: Callable[[Path], dict[str, Path]]
    damage: Callable[[bytes, bytes, np.random.Generator, Damage], bytes]
    run: Callable[[Path], str]
    patience: float = 0.0


def watch_execution() -> None:
    """Note whatever is executed from here on that no reader has any business to execute."""
    sys.addaudithook(
        lambda event, _: _executed.append(event) if event in _EXECUTION and not _by_kernel_cache() else None
    )


def _by_kernel_cache() -> bool:
    """Whether it is Numba that unpickles a kernel of ours: files of this machine, behind check sums, no stranger's."""
    frame = sys._getframe(2)
    while frame is not None:
        if Path(frame.f_code.co_filename).name == "kernel_cache.py":
            return True
        frame = frame.f_back
    return False


def damage_archive(data: bytes, other: bytes, rng: np.random.Generator, general: Damage) -> bytes:
    """Damage to the bytes, or to one to three members of the archive, with check sums that are right again."""
    if rng.random() < 0.4 or not zipfile.is_zipfile(io.BytesIO(data)):
        return general(data, other, rng)
    members = _members(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        name = _choose(list(members), rng)
        members[name] = _damage_member(name, members[name], other, rng, general)
    return _packed(members)


def _choose(names: list[str], rng: np.random.Generator) -> str:
    """A pickle or a header more often than one of the many arrays."""
    heads = [name for name in names if name.endswith((".pkl", ".json"))]
    return str(rng.choice(heads if heads and rng.random() < 0.7 else names))


def _damage_member(name: str, data: bytes, other: bytes, rng: np.random.Generator, general: Damage) -> bytes:
    if name.endswith(".json") and rng.random() < 0.8:
        return change_json(data, rng)
    if not name.endswith((".pkl", ".json")) and rng.random() < 0.6:
        return _change_number(data, rng)
    return general(data, other, rng)


def change_json(data: bytes, rng: np.random.Generator) -> bytes:
    """Put something strange in the place of one value, add a value, or take one away."""
    try:
        whole = json.loads(data)
        target = whole
        while rng.random() < 0.6:
            inner = [value for value in _values(target) if isinstance(value, dict | list) and value]
            if not inner:
                break
            target = inner[rng.integers(len(inner))]
        keys = list(target) if isinstance(target, dict) else list(range(len(target)))
        key = keys[rng.integers(len(keys))]
        if rng.random() < 0.2:
            del target[key]
        else:
            target[key] = _STRANGE[rng.integers(len(_STRANGE))]
        return json.dumps(whole).encode()
    except (ValueError, IndexError, TypeError):
        return data


def _values(target: dict | list) -> list:
    return list(target.values()) if isinstance(target, dict) else target


def _change_number(data: bytes, rng: np.random.Generator) -> bytes:
    """One number of an array that is none, or none to compute with."""
    changed = bytearray(data)
    value = np.float32(_NUMBERS[rng.integers(len(_NUMBERS))]).tobytes()
    place = len(data) - 4 * int(rng.integers(1, max(2, len(data) // 4)))
    changed[max(0, place) : max(0, place) + 4] = value
    return bytes(changed)


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _packed(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


def outcome(path: Path, act: Callable[[Path], None]) -> str:
    """What became of `act`; whatever it raises but one line with the file's name is a finding."""
    from evsim.errors import EvsimError

    _executed.clear()
    try:
        act(path)
        said = "sound"
    except EvsimError as error:
        text = str(error)
        one_line = text.isprintable() and len(text) < 3000 and str(path) in text
        said = "refused" if one_line else f"message: {error!r}"
    except MemoryError:
        said = "memory"
    except BaseException as error:
        said = f"traceback: {type(error).__name__}: {str(error)[:80]}"
    return f"executed: {_executed[0]}" if _executed else said


def _look(path: Path) -> None:
    """`evsim info`: every line can be printed."""
    from evsim.cli.file_text import describe_file

    for line in describe_file(str(path)):
        if not line.isprintable():
            raise AssertionError(f"not printable: {line!r}")


def _import(path: Path) -> None:
    from evsim.errors import CheckpointError
    from evsim.loading.importing import build_network, import_checkpoint

    _look(path)
    try:
        weights, notes = import_checkpoint(str(path), {})
    except CheckpointError as error:  # as a person would: with what it asks for
        asked = [word.partition("=")[0] for word in str(error).split() if word.partition("=")[2] == "VALUE"]
        weights, notes = import_checkpoint(str(path), {name: _TOLD[name] for name in asked if name in _TOLD})
    for note in notes:
        if not note.isprintable():
            raise AssertionError(f"not printable: {note!r}")
    _run(build_network(weights, str(path)), path)


def load_and_run(path: Path) -> None:
    """What a person does with a weights file: look at it, build it, run it."""
    from evsim.loading.importing import load_network

    _look(path)
    network, _ = load_network(str(path))
    _run(network, path)


def _run(network, path: Path) -> None:
    """A few events: every logit is a number, or the run is refused."""
    from evsim.engine.simulator import simulate
    from evsim.engine.spikes import Spikes
    from evsim.errors import EvsimError, NetworkError

    n_places = int(np.prod(network.input_shape))
    events = Spikes(np.unique(np.linspace(0, n_places - 1, 50).astype(np.int32)))
    try:
        result = simulate(network, [events] * min(network.n_steps, 20))
    except NetworkError as error:
        raise EvsimError(f"{path}: {error}") from None
    if not np.isfinite(result.logits_by_step).all():
        raise AssertionError("a logit is no number")


def _seeds(writer: str) -> Callable[[Path], dict[str, Path]]:
    def write(folder: Path) -> dict[str, Path]:
        from tests import fuzz_networks

        folder.mkdir()
        return getattr(fuzz_networks, writer)(folder)

    return write


DOORS = {
    "checkpoints": Door(_seeds("write_checkpoint_seeds"), damage_archive, lambda path: outcome(path, _import)),
    "weights": Door(_seeds("write_weights_seeds"), damage_archive, lambda path: outcome(path, load_and_run)),
}
