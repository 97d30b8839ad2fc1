"""The journal: what survives an interruption, what is refused, and that a resumed run ends in the same report."""

import json
import os
import signal
import time

import pytest

from evsim.errors import EvsimError
from evsim.evaluation import Journal, Outcome, Threads
from evsim.evaluation.evaluate import Choice
from tests.command import call, start
from tests.evaluations import DIGITS, digits_evaluation, without_time

IDENTITY = {"weights_sha256": "ab", "options": {"fit": None, "limit": 3}}
OUTCOMES = [
    Outcome("a", 1, (1, 0, 2), {"acs": 5}, 0.5),
    Outcome("b", 2, error="line\nbreak, \udcff and ü"),
    Outcome("c", 0, (2, 0), {"acs": 7}, 0.25),
]


@pytest.fixture(scope="module")
def uninterrupted():
    return without_time(digits_evaluation().run(Threads(2)))


@pytest.fixture
def path(tmp_path):
    """A whole journal of three outcomes."""
    journal = Journal(tmp_path / "j.jsonl", IDENTITY)
    journal.append(OUTCOMES[0])
    journal.append(*OUTCOMES[1:])
    journal.close()
    return tmp_path / "j.jsonl"


def resumed(path, identity=IDENTITY):
    journal = Journal(path, identity, resume=True)
    journal.close()
    return list(journal.outcomes.values())


def test_what_was_written_is_read(path):
    assert resumed(path) == OUTCOMES
    assert resumed(path) == OUTCOMES


def test_cut_at_any_byte_it_loses_only_the_line_it_was_cut_in(path):
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        n_lines = whole[:size].count(b"\n")
        assert resumed(path) == OUTCOMES[: max(0, n_lines - 1)]
        kept = path.read_bytes()
        assert kept == b"".join(whole.splitlines(keepends=True)[: max(1, n_lines)])


@pytest.mark.parametrize("damage", [b"\0" * 40 + b"\n", b'{"id": "d"}\n', b"[1]\n", b"7\n"])
def test_a_damaged_last_line_is_dropped(path, damage):
    whole = path.read_bytes()
    path.write_bytes(whole + damage)
    assert resumed(path) == OUTCOMES
    assert path.read_bytes() == whole


def test_damage_before_the_end_is_refused(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"nonsense\n", *lines[2:]]))
    before = path.read_bytes()
    with pytest.raises(EvsimError, match="line 2 is not a line of a journal"):
        resumed(path)
    assert path.read_bytes() == before


def test_the_journal_of_another_run_is_refused(path):
    with pytest.raises(EvsimError, match="another run: its weights_sha256 is ab, this run's cd"):
        resumed(path, IDENTITY | {"weights_sha256": "cd"})
    with pytest.raises(EvsimError, match="another run: its options"):
        resumed(path, IDENTITY | {"options": {"fit": "crop", "limit": 3}})


@pytest.mark.parametrize(
    "text", ["a table\n1,2\n", "one line without an end", "[]\n", "{}\n", '{"journal": "other/1"}\n']
)
def test_another_file_is_refused_and_kept(tmp_path, text):
    path = tmp_path / "precious.csv"
    path.write_text(text)
    with pytest.raises(EvsimError, match="not a"):
        resumed(path)
    assert path.read_text() == text


def test_an_existing_journal_is_not_continued_unasked(path):
    with pytest.raises(EvsimError, match="--resume continues it"):
        Journal(path, IDENTITY)
    assert resumed(path) == OUTCOMES


def test_two_runs_cannot_write_one_journal(path):
    pytest.importorskip("fcntl")
    first = Journal(path, IDENTITY, resume=True)
    with pytest.raises(EvsimError, match="another run is writing"):
        Journal(path, IDENTITY, resume=True)
    first.close()


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_run_stopped_anywhere_ends_in_the_same_report(tmp_path, n_workers):
    choice = Choice(limit=12, shuffle_seed=1)
    expected = without_time(digits_evaluation(choice).run(Threads(1)))

    class Stopped(Exception):
        pass

    seen = []

    def stop_at_five(outcome):
        seen.append(outcome)
        if len(seen) == 5:
            raise Stopped

    evaluation = digits_evaluation(choice)
    journal = Journal(tmp_path / "j", evaluation.identity)
    with pytest.raises(Stopped):
        evaluation.run(Threads(n_workers), journal, stop_at_five)
    journal.close()
    evaluation = digits_evaluation(choice)
    journal = Journal(tmp_path / "j", evaluation.identity, resume=True)
    n_done = len(journal.outcomes)
    assert 5 <= n_done < 12  # outcomes that came together are written together
    report = evaluation.run(Threads(3 - n_workers), journal)
    journal.close()
    assert without_time(report) == expected
    assert (report.timing["resumed"], report.timing["recordings"]) == (n_done, 12 - n_done)


def killed_after(n_lines, path, signal_number, *options):
    """Start an evaluation, end it by a signal once the journal has so many lines; its exit code and messages.

    A hundred recordings take a second: on a busy machine all may be done before the signal comes; so it is nice to
    whoever watches it, and if that does not help it is started once more.
    """
    for _ in range(5):
        path.unlink(missing_ok=True)
        code, err = _signalled(n_lines, path, signal_number, *options)
        if code != 0:
            break
    return code, err


def _interruptible():
    """Nice, and with Ctrl-C as a terminal gives it, even where the tests run in the background of a shell."""
    os.nice(15)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _signalled(n_lines, path, signal_number, *options):
    process = start("evaluate", "-d", DIGITS, "--journal", path, *options, preexec_fn=_interruptible)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") > n_lines:
            process.send_signal(signal_number)
            break
        time.sleep(0.002)
    _, err = process.communicate(timeout=120)
    return process.returncode, err.decode()


@pytest.mark.parametrize("n_workers", [1, 2])
def test_kill_9_and_resume(tmp_path, monkeypatch, capsys, uninterrupted, n_workers):
    path = tmp_path / "j.jsonl"
    code, _ = killed_after(10, path, signal.SIGKILL, "--workers", n_workers)
    assert code == -signal.SIGKILL
    n_done = path.read_bytes().count(b"\n") - 1
    assert 10 <= n_done < 100
    code, _, err = call(monkeypatch, capsys, "evaluate", "-d", DIGITS, "--journal", path)
    assert code == 2
    assert "--resume" in err
    code, out, _ = call(
        monkeypatch, capsys, "evaluate", "-d", DIGITS, "--journal", path, "--resume", "--json", "-", "--workers", 2
    )
    assert code == 0
    report = json.loads(out)
    assert report["timing"]["resumed"] == n_done
    for outcome in report["outcomes"]:
        outcome["seconds"] = 0.0
    assert report | {"timing": None} == json.loads(json.dumps(uninterrupted))


def test_ctrl_c_says_how_to_continue(tmp_path):
    path = tmp_path / "j.jsonl"
    code, err = killed_after(3, path, signal.SIGINT)
    assert code == 130
    assert "add --resume to continue" in err
    assert "Traceback" not in err
    n_done = path.read_bytes().count(b"\n") - 1
    assert 3 <= n_done < 100


# --- what a line may say ------------------------------------------------------------------------------------------


def changed(path, number, change):
    """One line of a journal (from 1), by a function of its bytes."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = change(lines[number - 1])
    path.write_bytes(b"".join(lines))
    return path.read_bytes()


@pytest.mark.parametrize("number", [2, 3, 4])
def test_a_changed_digit_anywhere_is_refused_by_its_line(path, number):
    """Every digit of every line, the last one too: a line that is still a line must be the one that was written."""
    whole = path.read_bytes()
    line = whole.splitlines(keepends=True)[number - 1]
    n_refused = 0
    for at in (i for i, letter in enumerate(line) if 48 <= letter <= 57):
        other = bytes([48 + (line[at] - 47) % 10])
        changed(path, number, lambda line, at=at, other=other: line[:at] + other + line[at + 1 :])
        with pytest.raises(EvsimError, match=f"line {number} "):
            resumed(path)
        n_refused += 1
        path.write_bytes(whole)
    assert n_refused > 8  # how many digits there are is chance: of seconds and of check sums
    assert resumed(path) == OUTCOMES


def test_the_line_of_another_run_is_refused(path, tmp_path):
    other = Journal(tmp_path / "other", IDENTITY | {"weights_sha256": "cd"})
    other.append(OUTCOMES[1])
    other.close()
    foreign = (tmp_path / "other").read_bytes().splitlines(keepends=True)[1]
    before = changed(path, 3, lambda line: foreign)
    with pytest.raises(EvsimError, match="line 3 was changed, or comes from another run"):
        resumed(path)
    assert path.read_bytes() == before


def test_a_second_line_of_one_recording_is_refused(path):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[1]]))
    with pytest.raises(EvsimError, match="line 5 is the second of recording 'a', after line 2"):
        resumed(path)


def test_a_journal_of_an_earlier_format_is_refused(path):
    changed(path, 1, lambda line: line.replace(b"evsim-evaluate/2", b"evsim-evaluate/1"))
    with pytest.raises(EvsimError, match=r"earlier version \(evsim-evaluate/1, expected evsim-evaluate/2\)"):
        resumed(path)


def test_a_device_is_no_journal():
    with pytest.raises(EvsimError, match="is a device"):
        Journal("/dev/zero", IDENTITY, resume=True)


def test_a_disk_that_is_full_keeps_whole_lines(tmp_path):
    """Every limit on the size of the file: what was told to be written is there, and nothing half."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in range(150, 900, 50):
        journal = Journal(tmp_path / f"j{size}", IDENTITY)
        kept, refusals = [], []
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            for outcome in OUTCOMES:
                journal.append(outcome)
                kept.append(outcome)
        except EvsimError as error:
            refusals.append(str(error))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            journal.close()
        assert all("cannot be written (File too large)" in text for text in refusals)
        assert (tmp_path / f"j{size}").read_bytes().endswith(b"\n")
        assert resumed(tmp_path / f"j{size}") == kept


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of digits, and the journal of its evaluation."""
    import shutil

    from evsim.loading.zoo import zoo_folder

    for digit in (1, 7):
        (tmp_path / "ds" / str(digit)).mkdir(parents=True)
        shutil.copy(zoo_folder() / f"nmnist_digit_{digit}.h5", tmp_path / "ds" / str(digit) / "a.h5")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluated(monkeypatch, capsys, *words):
    return call(monkeypatch, capsys, "evaluate", "-d", "ds", "--journal", "j", "--workers", 1, *words)


def test_data_that_changed_since_is_refused_by_line(folder, monkeypatch, capsys):
    assert evaluated(monkeypatch, capsys)[0] == 0
    assert evaluated(monkeypatch, capsys, "--resume")[0] == 0
    recording = folder / "ds" / "7" / "a.h5"
    whole = recording.read_bytes()
    recording.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    code, out, err = evaluated(monkeypatch, capsys, "--resume")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "line 3 is of another content than ds/7/a.h5 has now" in err
    assert (folder / "j").exists()
    recording.write_bytes(whole)
    assert evaluated(monkeypatch, capsys, "--resume")[0] == 0


def signed(path, number, values):
    """A line with other values and a sound check sum, as nobody but evsim writes it."""
    identity = json.loads(path.read_bytes().splitlines()[0])
    identity.pop("journal")
    forger = Journal(path.with_name("forged"), identity)
    line = json.loads(path.read_bytes().splitlines()[number - 1])
    line.pop("sum")
    forger.append(Outcome.from_dict(line | values))
    forger.close()
    forged = path.with_name("forged").read_bytes().splitlines(keepends=True)[1]
    path.with_name("forged").unlink()
    return forged


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"id": "3/a.h5"}, "of recording '3/a.h5', which this run does not have"),
        ({"label": 1}, "has the label 1, the dataset 7"), ({"top": [7, 7, 1, 2, 3]}, "classes or counts"),
        ({"top": [10, 1, 2, 3, 4]}, "classes or counts"), ({"top": [-1, 1, 2, 3, 4]}, "classes or counts"),
        ({"counts": {}}, "classes or counts"), ({"counts": {"acs": 1}}, "classes or counts"),
        ({"seconds": -1.0}, "classes or counts"), ({"error": "x", "top": []}, "classes or counts"),
    ],
)  # fmt: skip
def test_a_line_that_contradicts_the_dataset_is_refused(folder, monkeypatch, capsys, values, words):
    evaluated(monkeypatch, capsys)
    path = folder / "j"
    forged = signed(path, 3, values)
    before = changed(path, 3, lambda line: forged)
    code, _, err = evaluated(monkeypatch, capsys, "--resume")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "line 3 " in err
    assert words in err
    assert path.read_bytes() == before
