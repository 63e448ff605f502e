"""Rooms import from those below them alone, and a framework or a reader of films is imported in one room."""

import ast
import sys

import pytest
from conftest import ROOT

PACKAGE = ROOT / "shot_types"
FRAMEWORKS = {"pytorch": {"torch", "torchvision"}, "tensorflow": {"tensorflow", "keras"}, "onnx": {"onnxruntime"}}
STOREYS = (  # from the ground up
    {"labels", "files", "cores"},
    {"pictures"},
    {"video", "dataset", "cards"},
    {"probe"},
    {"classifier", *FRAMEWORKS},
    {""},  # the package's own names
    {"heatmap", "report"},
    {"film", "training"},
    {"app"},
    {"__main__"},
)
STOREY = {room: number for number, rooms in enumerate(STOREYS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [file.relative_to(PACKAGE).with_suffix("").as_posix() for file in FILES]


def imports(file):
    """Every module that a file imports, anywhere in it, as (absolute name, whether it is done where it is read)."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    here = ["shot_types", *file.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node in tree.body) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) + 1 - node.level] if node.level else []
            base = ".".join([*base, *filter(None, [node.module])])
            for name in node.names:
                known = base.split(".")[0] == "shot_types" and is_room(f"{base}.{name.name}")
                yield (f"{base}.{name.name}" if known else base), node in tree.body


def is_room(name):
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def room(name):
    """`shot_types.film.table` -> film; `shot_types` -> "", the package's own names."""
    return [*name.split("."), ""][1]


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_no_arrow_goes_back(file):
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py").replace("__init__", "")
    used = {room(name) for name, _ in imports(file) if name.split(".")[0] == "shot_types"} - {own}
    above = {name for name in used if STOREY[name] >= STOREY[own]}
    assert not above, f"{file.name} imports {above}, which are not below it"


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_films_are_read_in_one_room_and_each_framework_in_its_own(file):
    own = file.relative_to(PACKAGE).parts
    outside = {name.split(".")[0] for name, _ in imports(file)}
    assert "av" not in outside or own == ("video.py",)
    for framework, packages in FRAMEWORKS.items():
        here = own[0] == "training" or own == (f"{framework}.py",)
        assert here or not packages & outside
    if own == ("pictures.py",):
        assert outside - {"shot_types"} - sys.stdlib_module_names <= {"PIL", "numpy"}


def test_a_picture_is_classified_without_what_films_tables_and_training_need():
    for name in ("__init__", "labels", "files", "pictures", "cards", "probe", "classifier", "onnx", "__main__"):
        outside = {module.split(".")[0] for module, at_once in imports(PACKAGE / f"{name}.py") if at_once}
        assert not outside & {"av", "cv2", "pandas", "matplotlib", "sklearn", "scipy", "torch", "tensorflow", "keras"}


def test_arrows_are_seen():
    """The reader of imports finds relative, absolute and late ones."""
    file = PACKAGE / "film" / "report.py"
    found = {room(name) for name, _ in imports(file) if name.startswith("shot_types")}
    assert "labels" in found and len(FILES) == len(set(NAMES)) > 15
    late = {name for name, at_once in imports(PACKAGE / "__main__.py") if not at_once}
    assert "shot_types.film.report" in late and "shot_types.heatmap" in late
