"""Kill every verb that writes at random moments, fill the disk at random sizes, and see what is left.

    python tools/kill_and_fill.py --kills 100 --sizes 50 [--seed 0] [--only export-csv]

Each case runs one verb in a process of its own, forked from one that has everything loaded, with an older file under
the output's name. Allowed afterwards are the old file or the whole new one; a verb that ends by itself must have
said what is wrong in one line and left nothing else. An interrupted evaluation is continued, and must end in the
same report.
The disk is full by a limit on the size of files and, where one can be mounted, on a small tmpfs.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

OLD = b"what was here before\n" * 50
TIME_OUT_SECONDS = 60
N_RECORDINGS = 12
TMPFS_BYTES = 8 * 2**20
NO_EXIT = 99
MESSAGES = Path(tempfile.gettempdir()) / f"kill_and_fill_{os.getpid()}.txt"


@dataclass(frozen=True)
class Case:
    """A verb, the option-less words that write to ``{out}``, and what reads it."""

    words: tuple[str, ...]
    read: Callable[[Path], object]
    suffix: str


def cases(inputs: Path) -> dict[str, Case]:
    """Every verb that writes, in each of its formats."""
    from evsim.checkpoints import read_weights
    from evsim.loading.zoo import zoo_folder
    from evsim.traces.trace import read_trace

    trace, checkpoint = str(inputs / "t.h5"), str(inputs / "c.pth.tar")
    digits = str(zoo_folder() / "nmnist_test_100.h5")
    evaluate = ("evaluate", "-d", digits, "--limit", str(N_RECORDINGS), "--workers", "1")
    found = {
        "run-trace": Case(("run", "--trace", "{out}"), read_trace, ".h5"),
        "report": Case(("report", "-o", "{out}"), _read_html, ".html"),
        "import": Case(("import", checkpoint, "--set", "n_steps=2", "--set", "dvs_mode=true", "-o", "{out}"),
                       read_weights, ".npz"),
        "evaluate-json": Case((*evaluate, "--json", "{out}"), _read_json, ".json"),
        "evaluate-csv": Case((*evaluate, "--csv", "{out}"), _read_csv, ".csv"),
        "lint-markdown": Case(("lint", "--format", "markdown", "-o", "{out}"), _read_text, ".md"),
    }  # fmt: skip
    readers = {"json": _read_json, "csv": _read_csv, "latex": _read_text, "table": _read_text}
    for name, read in readers.items():
        found[f"audit-{name}"] = Case(("audit", "--trace", trace, "--format", name, "-o", "{out}"), read, f".{name}")
    for suffix, read in (("png", _read_png), ("svg", _read_svg), ("pdf", _read_pdf)):
        words = ("raster", "--trace", trace, "-l", "*q_lif", "--width", "2in", "-o", "{out}")
        found[f"raster-{suffix}"] = Case(words, read, f".{suffix}")
    formats = {"csv": _read_csv, "packed": _read_npz, "sonata": _read_hdf5, "nir": _read_hdf5, "neo": _read_hdf5}
    for name, read in formats.items():
        found[f"export-{name}"] = Case(("export", trace, "--format", name, "-o", "{out}"), read, f".{name}")
    return found


def _read_json(path: Path) -> object:
    return json.loads(path.read_text())


def _read_csv(path: Path) -> object:
    rows = list(csv.reader(io.StringIO(path.read_text(), newline="")))
    assert len({len(row) for row in rows}) == 1
    assert path.read_bytes().endswith(b"\n")
    return rows


def _read_text(path: Path) -> object:
    text = path.read_text()
    assert text.endswith("\n")
    assert "versions" in text  # the footer
    return text


def _read_html(path: Path) -> object:
    assert path.read_text().endswith("</html>\n")


def _read_svg(path: Path) -> object:
    assert path.read_text().rstrip().endswith("</svg>")


def _read_pdf(path: Path) -> object:
    assert path.read_bytes().rstrip().endswith(b"%%EOF")


def _read_png(path: Path) -> object:
    from PIL import Image

    return Image.open(path).convert("RGB")


def _read_npz(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    return dict(np.load(path))


def _read_hdf5(path: Path) -> object:
    import h5py

    with h5py.File(path) as file:
        file.visititems(lambda name, node: node[()] if isinstance(node, h5py.Dataset) else None)


def start(words: list[str], folder: Path, most_bytes: int | None = None) -> int:
    """The verb in a child process; its messages go into a file elsewhere."""
    child = os.fork()
    if child:
        return child
    code = NO_EXIT
    try:
        os.chdir(folder)
        os.dup2(os.open(MESSAGES, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)
        sys.argv = ["evsim", *words]
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        from evsim.cli import main

        main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    finally:
        os._exit(code)  # whatever happens: the rest of this program is the parent's


def finish(child: int, kill_after: float | None = None) -> int:
    """Its exit code, or the negative number of the signal that ended it."""
    deadline = time.monotonic() + (TIME_OUT_SECONDS if kill_after is None else kill_after)
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if kill_after is not None else -999


def judge(case: Case, folder: Path, out: Path, code: int, was_killed: bool) -> str:
    """ "old" or "new" for what stands under the name, else what is wrong."""
    if not out.exists():
        return "LOST: nothing under the name"
    left = {path.name for path in folder.iterdir()} - {out.name, "journal"}
    parts = {name for name in left if name.startswith(".evsim-") and name.endswith(".part")}
    if left - parts or (parts and not was_killed):
        return f"LEFTOVER: {sorted(left)}"
    err = MESSAGES.read_text(errors="replace").strip().splitlines() if MESSAGES.exists() else []
    told = [line for line in err if not line.startswith("wrote ")]
    if not was_killed and not (code == 0 or (code == 2 and len(told) == 1 and told[0].startswith("evsim: "))):
        return f"EXIT {code}: {' / '.join(err[-2:])[:200]}"
    if out.read_bytes() == OLD:
        return "old" if code != 0 else "SILENT: exit 0, but the old file is there"
    try:
        case.read(out)
    except Exception as error:
        return f"HALF-WRITTEN: {type(error).__name__}: {str(error)[:80]}"
    return "new" if code in (0, -signal.SIGKILL) else f"EXIT {code}, but a new file is there"


def prepared(case: Case, parent: Path) -> tuple[Path, Path, list[str]]:
    """A fresh folder with the old file; the output's path and the words of the verb."""
    folder = Path(tempfile.mkdtemp(dir=parent))
    out = folder / f"out{case.suffix}"
    out.write_bytes(OLD)
    words = [word.replace("{out}", str(out)) for word in case.words]
    if words[0] == "evaluate":
        words += ["--journal", str(folder / "journal")]
    return folder, out, words


def continued(case: Case, folder: Path, out: Path, words: list[str], expected: object) -> str | None:
    """An interrupted evaluation again, with --resume; what is wrong with its report."""
    if words[0] != "evaluate":
        return None
    code = finish(start([*words, *(["--resume"] if (folder / "journal").exists() else [])], folder))
    if code != 0:
        return f"RESUME: exit {code}: {MESSAGES.read_text()[-200:]}"
    return None if answers(case.read(out)) == expected else "RESUME: another report"


def answers(report: object) -> object:
    """What of an evaluation must not depend on the time."""
    if isinstance(report, dict):
        return [(one["id"], one["label"], one["top"], one["counts"]) for one in report["outcomes"]]
    return [row[:5] + row[7:] for row in report]


def with_kills(found: dict[str, Case], n: int, rng: np.random.Generator, parent: Path) -> list[str]:
    """n kills spread over all verbs, at any moment of their life."""
    wrong, seen, names = [], Counter(), list(found)
    spans, expected = {}, {}
    for name, case in found.items():
        folder, out, words = prepared(case, parent)
        begin = time.monotonic()
        code = finish(start(words, folder))
        spans[name] = time.monotonic() - begin
        verdict = judge(case, folder, out, code, was_killed=False)
        if verdict != "new":
            wrong.append(f"{name} undisturbed: {verdict}")
        elif words[0] == "evaluate":
            expected[name] = answers(case.read(out))
        shutil.rmtree(folder)
    n_killed = number = 0
    while n_killed < n and number < 20 * n:
        name = names[number % len(names)]
        number += 1
        folder, out, words = prepared(found[name], parent)
        # The end, when files are written, more often than the rest.
        share = rng.uniform(0.6, 1) if rng.random() < 0.6 else rng.uniform(0, 1)
        begin = time.monotonic()
        code = finish(start(words, folder), share * spans[name])
        was_killed = code == -signal.SIGKILL
        n_killed += was_killed
        if not was_killed:  # it was faster than before
            spans[name] = time.monotonic() - begin
        verdict = judge(found[name], folder, out, code, was_killed)
        verdict = continued(found[name], folder, out, words, expected.get(name)) or verdict
        seen[f"{'killed' if was_killed else 'ended before the kill'}, {verdict} file"] += 1
        if verdict not in ("old", "new"):
            wrong.append(f"run {number}, {name} at {share * spans[name]:.3f} s: {verdict}")
        shutil.rmtree(folder)
    print(f"{n_killed} kills: " + ", ".join(f"{count} {what}" for what, count in sorted(seen.items())))
    return wrong


def with_full_disks(found: dict[str, Case], n: int, rng: np.random.Generator, parent: Path, disk: Path | None):
    """n sizes of the largest file a verb may write, and n of the space left on a small disk."""
    wrong, seen = [], Counter()
    for name, case in found.items():
        folder, out, words = prepared(case, parent)
        finish(start(words, folder))
        whole = out.stat().st_size
        shutil.rmtree(folder)
        for number in range(n):
            size = int(rng.integers(len(OLD), 1.2 * whole + 4096)) if number else len(OLD)
            verdicts = {"limit": _limited(case, parent, size)}
            if disk is not None:
                verdicts["tmpfs"] = _filled(case, disk, size)
            for kind, verdict in verdicts.items():
                seen[f"{kind}: {verdict}" if verdict in ("old", "new") else f"{kind}: wrong"] += 1
                if verdict not in ("old", "new"):
                    wrong.append(f"{name}, {kind}, {size} of {whole} bytes: {verdict}")
    print(f"{n} sizes x {len(found)} verbs: " + ", ".join(f"{count} {what}" for what, count in sorted(seen.items())))
    return wrong


def _limited(case: Case, parent: Path, size: int) -> str:
    folder, out, words = prepared(case, parent)
    verdict = judge(case, folder, out, finish(start(words, folder, most_bytes=size)), was_killed=False)
    shutil.rmtree(folder)
    return verdict


def _filled(case: Case, disk: Path, free: int) -> str:
    """Fill the disk but for `free` bytes (in whole pages), then run the verb on it."""
    folder, out, words = prepared(case, disk)
    filler = disk / "filler"
    space = os.statvfs(disk)
    with open(filler, "wb") as file:
        file.write(bytes(max(0, space.f_bavail * space.f_frsize - free // 4096 * 4096)))
    verdict = judge(case, folder, out, finish(start(words, folder)), was_killed=False)
    filler.unlink()
    shutil.rmtree(folder)
    return verdict


def mounted(place: Path) -> Path | None:
    """A small disk in memory; None where mounting is not allowed."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", str(place)]
    try:
        return place if subprocess.run(command, capture_output=True, check=False).returncode == 0 else None
    except OSError:
        return None


def load_everything(inputs: Path) -> None:
    """Imports, compiled kernels, and the files that verbs read."""
    import matplotlib.figure  # noqa: F401

    from evsim.cli import main

    inputs.mkdir()
    shutil.copy(ROOT / "tests" / "data" / "sdt_cifar10dvs_erode_tet.model_best.pth.tar", inputs / "c.pth.tar")
    for words in (["run", "--trace", str(inputs / "t.h5")], ["lint"]):
        sys.argv = ["evsim", *words]
        with open(os.devnull, "w") as sys.stdout:
            try:
                main()
            except SystemExit:
                pass
        sys.stdout = sys.__stdout__


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--sizes", type=int, default=50, help="sizes a verb and kind of full disk")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="verbs whose names hold this word")
    told = parser.parse_args()
    rng = np.random.default_rng(told.seed)
    with tempfile.TemporaryDirectory() as name:
        parent, inputs = Path(name), Path(name) / "inputs"
        load_everything(inputs)
        found = {key: case for key, case in cases(inputs).items() if (told.only or "") in key}
        (parent / "work").mkdir()
        wrong = with_kills(found, told.kills, rng, parent / "work") if told.kills else []
        disk = mounted(parent / "disk")
        try:
            if told.sizes:
                wrong += with_full_disks(found, told.sizes, rng, parent / "work", disk)
        finally:
            if disk is not None:
                subprocess.run(["umount", str(disk)], check=False)
    MESSAGES.unlink(missing_ok=True)
    if disk is None and told.sizes:
        print("no tmpfs could be mounted: only limits on the size of a file were tried")
    print("\n".join(wrong) or "nothing lost, nothing half-written, nothing left behind but by a kill")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
