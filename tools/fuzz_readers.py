"""Feed damaged files to every reader and count what happens.

    python tools/fuzz_readers.py --cases 20000 [--seed 0] [--doors recordings,checkpoints,weights] [FILE_OR_FOLDER ...]

Each case damages one file (flipped bytes, extreme numbers, cuts, pieces of another file) and reads it whole, in pieces,
as a stream and as a dataset, in a worker process whose memory is limited and which is watched from outside. Allowed are
a sound recording and an EvsimError of one line; a traceback, a crash, a hang, or more than 1 GB is a finding, and its
file is kept. Seeds are files synthesised by the encoders of the test suite and the files named on the command line (of
long ones, the beginning).

A case is repeated with `--seed S --only N` and the same doors. The doors of trained networks are in `fuzz_doors.py` and
`fuzz_graphs.py`, where nothing may be executed either; those of traces, references, journals and energy models in
`fuzz_stored.py`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

LIMIT_BYTES = 2**30
TIME_OUT_SECONDS = 10
SEED_BYTES = 40_000
WHOLE = {".h5", ".hdf5", ".npz", ".npy", ".png", ".jpg", ".aedat4"}
EXTREMES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]
ALLOWED = ("sound", "refused")
RECORDINGS = "recordings"


def damage(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """One kind of damage, or up to three one after the other."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        data = DAMAGES[rng.integers(len(DAMAGES))](bytearray(data), other, rng)
    return bytes(data)


def _place(data, rng: np.random.Generator) -> int:
    """Anywhere, but headers more often."""
    return int(rng.integers(max(1, len(data) if rng.random() < 0.5 else min(len(data), 600))))


def flip(data, other, rng):
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        if data:
            data[_place(data, rng) % len(data)] = int(rng.integers(256))
    return data


def extreme(data, other, rng):
    width = int(rng.choice([1, 2, 4, 8]))
    value = EXTREMES[rng.integers(len(EXTREMES))] % 2 ** (8 * width)
    at = _place(data, rng)
    data[at : at + width] = value.to_bytes(width, str(rng.choice(["little", "big"])))
    return data


def cut(data, other, rng):
    return data[: _place(data, rng)]


def drop(data, other, rng):
    at = _place(data, rng)
    del data[at : at + int(rng.integers(1, 40))]
    return data


def repeat(data, other, rng):
    at, length = _place(data, rng), int(rng.integers(1, 400))
    return data[: at + length] + data[at:]


def splice(data, other, rng):
    at, length = _place(data, rng), int(rng.integers(1, 400))
    start = _place(other, rng)
    data[at : at + length] = other[start : start + length]
    return data


DAMAGES = (flip, flip, extreme, extreme, cut, drop, repeat, splice)


def synthesised(folder: Path) -> dict[str, Path]:
    """A small sound file of each format."""
    from tests import encoders, fuzz_seeds

    folder.mkdir()
    return fuzz_seeds.write_seeds(folder, encoders)


def collect(names: list[str], folder: Path, doors: list[str]) -> dict[str, Path]:
    """Seeds by name: the synthesised ones of each door and what the command line names, which are recordings."""
    folder.mkdir()
    seeds = synthesised(folder / RECORDINGS) if RECORDINGS in doors else {}
    for door in doors:
        if door != RECORDINGS:
            found = doors_beside()[door].write_seeds(folder / door)
            seeds |= {f"{door}/{name}": path for name, path in found.items()}
    for name in names:
        path = Path(name)
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and not file.name.endswith(".md"):
                seeds[file.name] = file
    return seeds


def door_of(name: str):
    """The door that a seed belongs to; None for recordings."""
    return doors_beside().get(name.partition("/")[0])


def doors_beside() -> dict:
    """All doors but that of recordings, by name."""
    from tools import fuzz_doors, fuzz_graphs, fuzz_stored

    return fuzz_doors.DOORS | fuzz_graphs.DOORS | fuzz_stored.DOORS


def _doors_named(names: str) -> list:
    return [door for name, door in doors_beside().items() if name in names.split(",")]


def read_seed(path: Path) -> bytes:
    """A seed's bytes; of a raw format the beginning is enough."""
    data = path.read_bytes()
    return data if path.suffix in WHOLE else data[:SEED_BYTES]


def make_case(seeds: dict[str, Path], number: int, seed: int, folder: Path) -> tuple[str, Path]:
    """Write the damaged file of a case; its seed's name and its path."""
    rng = np.random.default_rng([seed, number])
    names = list(seeds)
    name = names[number % len(names)]
    other = read_seed(seeds[names[rng.integers(len(names))]])
    path = folder / f"case_{seeds[name].name}"
    if door := door_of(name):
        path.write_bytes(door.damage(seeds[name].read_bytes(), other, rng, damage))
        return name, path
    path.write_bytes(damage(read_seed(seeds[name]), other, rng))
    # A label file is read with the recording it belongs to.
    if name == "gesture_labels":
        path = path.rename(folder / "user01_labels.csv")
        (folder / "user01.aedat").write_bytes(read_seed(seeds["aedat3"]))
        return name, folder / "user01.aedat"
    return name, path


def run_case(path: Path) -> str:
    """ "sound", "refused", or what went wrong."""
    from evsim.errors import EvsimError
    from evsim.recordings import read_recording
    from evsim.recordings.recording import EventRecording

    try:
        recording = read_recording(path, trained_with="none")
        if isinstance(recording, EventRecording):
            wrong = _check_events(recording) or _check_pieces(path, recording)
            return wrong or _check_doors(path) or "sound"
        values = getattr(recording, "frames", getattr(recording, "image", None))
        wrong = _check_doors(path)
        if wrong:
            return wrong
        return "sound" if values.dtype == np.float32 and np.isfinite(values).all() else "unsound"
    except EvsimError as error:
        if isinstance(error.__cause__, MemoryError):
            return "memory"
        return (
            _check_doors(path) or "refused"
            if "\n" not in str(error) and str(path.parent) in str(error)
            else f"message: {error!r}"
        )
    except MemoryError:
        return "memory"
    except BaseException as error:
        return f"traceback: {type(error).__name__}: {str(error)[:80]}"


def _check_events(found) -> str | None:
    height, width = found.sensor
    sound = (
        0 < found.t.size == found.x.size == found.y.size == found.p.size
        and (found.t[1:] >= found.t[:-1]).all()
        and 0 <= found.x.min() <= found.x.max() < width
        and 0 <= found.y.min() <= found.y.max() < height
        and set(np.unique(found.p)) <= {0, 1}
    )
    return None if sound else "unsound"


def _check_pieces(path: Path, whole) -> str | None:
    """Pieces are the whole, or refused because the disorder is too great."""
    from evsim.errors import EvsimError
    from evsim.recordings import iter_events

    try:
        pieces = list(iter_events(path, max(100, whole.t.size // 20)))
    except EvsimError as error:
        return None if "out of order" in str(error) else f"pieces: {error}"
    same = all(np.array_equal(np.concatenate([getattr(p, c) for p in pieces]), getattr(whole, c)) for c in "txyp")
    return None if same else "pieces differ"


def _check_doors(path: Path) -> str | None:
    """Other ways in take the file or refuse it in one line: as a stream, as a dataset, described, told what it is."""
    from evsim.errors import EvsimError

    for door in (_follow, _as_dataset, _describe, _told):
        try:
            door(path)
        except EvsimError as error:
            if isinstance(error.__cause__, MemoryError):
                return f"memory ({door.__name__})"
            if "\n" in str(error):
                return f"message ({door.__name__}): {error!r}"
        except MemoryError:
            return f"memory ({door.__name__})"
        except BaseException as error:
            return f"traceback ({door.__name__}): {type(error).__name__}: {str(error)[:80]}"
    return None


def _follow(path: Path) -> None:
    from evsim.recordings.streaming.decoder import StreamDecoder
    from evsim.recordings.streaming.windows import Windows

    decoder, windows = StreamDecoder(path.name), Windows(1000, 500)
    data = path.read_bytes()
    for at in range(0, len(data), 10_000):
        for _ in windows.feed(decoder.feed(data[at : at + 10_000])):
            pass
    for _ in windows.feed(decoder.finish()):
        pass
    for _ in windows.finish():
        pass


def _as_dataset(path: Path) -> None:
    from evsim.evaluation.dataset import find_dataset, kind_module
    from evsim.recordings.options import ReadOptions

    dataset = find_dataset(str(path))
    module = kind_module(dataset.kind)
    for item in dataset.items[:3]:
        if hasattr(module, "read"):
            module.read(item, ReadOptions(trained_with="none"))


def _describe(path: Path) -> None:
    from evsim.recordings import describe, read_recording

    describe(read_recording(path, normalise="raw"))


def _told(path: Path) -> None:
    from evsim.recordings import read_recording

    read_recording(path, sensor=(260, 346), drop_outside=True, unit="ms")


def work(first: int, last: int, step: int, seed: int, seeds: dict[str, Path], folder: Path) -> None:
    """Run cases and say of each, one line before and one after."""
    import resource

    import h5py  # noqa: F401 - so that the limit counts what reading takes, not what importing takes

    from evsim.recordings import read_recording
    from tools.fuzz_doors import watch_execution

    # Readers load libraries and kernels on first use.
    for name, path in seeds.items():
        try:
            door_of(name).run(path) if door_of(name) else read_recording(path, trained_with="none")
        except Exception:
            pass
    watch_execution()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + LIMIT_BYTES,) * 2)
    for number in range(first, last, step):
        print(json.dumps({"begin": number}), flush=True)
        name, path = make_case(seeds, number, seed, folder)
        begin = time.perf_counter()
        outcome = door_of(name).run(path) if door_of(name) else run_case(path)
        seconds = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"end": number, "name": name, "outcome": outcome, "s": seconds, "peak": peak}), flush=True)


def watch(arguments, seeds: dict[str, Path], folder: Path) -> tuple[list[dict], list[str]]:
    """All cases, in as many workers one after the other as crashes make necessary."""
    results, findings, first = [], [], arguments.only if arguments.only is not None else 0
    last = first + 1 if arguments.only is not None else arguments.cases
    while first < last:
        begun, done = _one_worker(arguments, first, last, results)
        if begun is None or done >= last - 1:
            break
        name = list(seeds)[begun % len(seeds)]
        results.append({"end": begun, "name": name, "outcome": "crash or hang", "s": TIME_OUT_SECONDS, "peak": 0})
        first = begun + 1
    for result in results:
        if result["outcome"] not in ALLOWED:
            _, path = make_case(seeds, result["end"], arguments.seed, folder)
            kept = Path(arguments.keep) / f"{result['end']}_{path.name}"
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(path.read_bytes())
            findings.append(f"case {result['end']} ({result['name']}): {result['outcome']}; kept as {kept}")
    return results, findings


def _one_worker(arguments, first: int, last: int, results: list[dict]) -> tuple[int | None, int]:
    """The case that was begun last and the one that was finished last."""
    import os
    import selectors

    command = [sys.executable, __file__, "--work", f"{first}:{last}", "--seed", str(arguments.seed)]
    command += ["--doors", arguments.doors, *arguments.files]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    begun, done, rest = None, -1, b""
    with selectors.DefaultSelector() as selector:
        selector.register(worker.stdout, selectors.EVENT_READ)
        patience = max((getattr(door, "patience", 0) for door in _doors_named(arguments.doors)), default=0)
        while selector.select(max(TIME_OUT_SECONDS, patience) if begun is not None else 120):
            block = os.read(worker.stdout.fileno(), 2**16)
            if not block:
                break
            *lines, rest = (rest + block).split(b"\n")
            for line in map(json.loads, lines):
                if "begin" in line:
                    begun = line["begin"]
                else:
                    done = line["end"]
                    results.append(line)
    worker.kill()
    worker.wait()
    return begun, done


def table(results: list[dict]) -> None:
    """Outcomes by seed."""
    print(f"{'seed':32} {'cases':>6} {'sound':>6} {'refused':>8} {'wrong':>6} {'slowest':>9} {'peak':>8}")
    names = sorted({result["name"] for result in results})
    for name in [*names, "all"]:
        some = [result for result in results if name in ("all", result["name"])]
        count = Counter(result["outcome"] for result in some)
        wrong = len(some) - count["sound"] - count["refused"]
        slowest, peak = max(result["s"] for result in some), max(result["peak"] for result in some)
        print(
            f"{name[:32]:32} {len(some):6} {count['sound']:6} {count['refused']:8} {wrong:6} {slowest:7.2f} s "
            f"{peak / 1e6:5.0f} MB"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", help="real files, or folders of them, as further seeds")
    parser.add_argument(
        "--doors",
        default=RECORDINGS,
        help="recordings, checkpoints, weights, traces, references, journals, models: comma separated",
    )
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="run this one case")
    parser.add_argument("--keep", default="fuzz_findings", help="folder for the files of findings")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = collect(arguments.files, folder / "seeds", arguments.doors.split(","))
        if arguments.work:
            first, last = map(int, arguments.work.split(":"))
            work(first, last, 1, arguments.seed, seeds, folder)
            return 0
        results, findings = watch(arguments, seeds, folder)
    table(results)
    print("\n".join(findings) or "nothing but sound recordings and one-line refusals")
    return 1 if findings or len(results) < (1 if arguments.only is not None else arguments.cases) else 0


if __name__ == "__main__":
    sys.exit(main())
