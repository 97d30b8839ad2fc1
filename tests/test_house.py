"""The house: who may import whom. Rooms stand on floors, and imports go down, or stay in the room without a circle."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "evsim"

FLOORS = (
    "errors",
    "files",
    "plain_text",
    "outputs",
    "arithmetic",
    "engine",
    "handlers",
    "asynchronous",
    "recordings",
    "checkpoints",
    "graph",
    "networks",
    "loading",
    "traces",
    "runs",
    "plots",
    "exports",
    "auditing",
    "evaluation",
    "reports",
    "api",
    "cli",
    "torch",
    "__main__",
)
"""Rooms (or files at the top) from the ground up; docs/design.md, section 2, says what each is for."""

MOST_FILES_AT_THE_TOP = 8


def imports_of(path):
    """Dotted names of everything in evsim that a file imports, wherever it stands in the file, type hints included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "evsim")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "evsim":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def file_of(module):
    """The file behind a dotted name, a name inside it left aside."""
    parts = module.split(".")[1:]
    for end in range(len(parts), 0, -1):
        place = HOUSE.joinpath(*parts[:end])
        for candidate in (place.with_suffix(".py"), place / "__init__.py"):
            if candidate.is_file():
                return candidate
    return HOUSE / "__init__.py"


def room_of(path):
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def graph():
    files = [path for path in HOUSE.rglob("*.py") if path != HOUSE / "__init__.py"]
    return {path: {file_of(name) for name in imports_of(path)} - {HOUSE / "__init__.py", path} for path in files}


def test_every_room_has_a_floor_and_every_floor_a_room():
    assert {room_of(path) for path in graph()} == set(FLOORS)


def test_imports_go_down_or_stay_in_the_room():
    upwards = [
        f"{path.relative_to(HOUSE)} -> {other.relative_to(HOUSE)}"
        for path, others in graph().items()
        for other in others
        if FLOORS.index(room_of(other)) > FLOORS.index(room_of(path))
    ]
    assert upwards == []


def test_no_circle_of_files():
    edges, done = graph(), set()

    def visit(path, above):
        assert path not in above, " -> ".join(str(p.relative_to(HOUSE)) for p in (*above, path))
        if path not in done:
            for other in edges.get(path, ()):
                visit(other, (*above, path))
            done.add(path)

    for path in edges:
        visit(path, ())


def test_the_top_of_the_house_shows_few_files():
    files = [path.name for path in HOUSE.iterdir() if path.is_file() and not path.name.startswith(".")]
    assert len(files) <= MOST_FILES_AT_THE_TOP, files


def test_nothing_but_the_recorders_room_imports_torch():
    heavy = {"torch", "torchvision", "spikingjelly", "timm", "cupy", "snntorch", "norse"}
    for path in HOUSE.rglob("*.py"):
        if room_of(path) == "torch":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not heavy & {name.split(".")[0] for name in names}, path


def test_nothing_imports_the_recorders_room():
    importers = {
        room_of(path) for path, others in graph().items() if any(room_of(other) == "torch" for other in others)
    }
    assert importers <= {"torch"}
