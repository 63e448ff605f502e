"""What pyproject.toml promises: dependencies and their pins, a wheel that answers by itself, one framework alone."""

import ast
import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from shot_types import load_classifier

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def needs(*extras):
    """Name -> `Requirement` of the base dependencies and of some extras, with the extras that these take in."""
    found, left = {}, [*PROJECT["dependencies"], *(text for extra in extras for text in EXTRAS[extra])]
    while left:
        need = Requirement(left.pop())
        if need.name == PROJECT["name"]:
            left += [text for extra in need.extras for text in EXTRAS[extra]]
        else:
            found[canonicalize_name(need.name)] = need
    return found


def with_all_they_need(names):
    """Names of packages, and of everything that they need, as far as they are installed."""
    found, left = set(), list(names)
    while left:
        name = canonicalize_name(re.match("[A-Za-z0-9._-]+", left.pop())[0])
        if name not in found:
            found.add(name)
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                left += [need for need in importlib.metadata.requires(name) or () if "extra ==" not in need]
    return found


def test_the_pins_are_those_of_the_dependencies_and_fit_them():
    pins = {}
    for file, extras in (("requirements.txt", EXTRAS), ("requirements-light.txt", ["light"])):
        lines = (ROOT / file).read_text().splitlines()
        lines = [line for line in lines if line and not line.startswith("#") and line != "-e ."]
        read = [re.fullmatch(r"([\w-]+)==(\S+) +# \S.*", line) for line in lines]
        assert all(read), "a line is a pin and its purpose"
        pins[file] = {canonicalize_name(pin[1]): pin[2] for pin in read}
        assert len(pins[file]) == len(lines) and set(pins[file]) == set(needs(*extras))
        for name, need in needs(*extras).items():
            assert Version(pins[file][name]) in need.specifier, f"{file}: {need}"
    assert pins["requirements-light.txt"].items() <= pins["requirements.txt"].items()


def test_what_is_imported_is_a_dependency():
    dists, known = importlib.metadata.packages_distributions(), {PROJECT["name"], *needs(*EXTRAS)}
    known |= {"openvino"}  # which the benchmark compares with where somebody has installed it
    for file in [file for folder in ("shot_types", "tools", "tests") for file in (ROOT / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            for module in {module.split(".")[0] for module in modules} & set(dists):
                assert known & set(map(canonicalize_name, dists[module])), f"{file.name} imports {module}"


def test_the_light_install_has_no_framework():
    assert not {"torch", "tensorflow", "keras"} & with_all_they_need(needs("light"))


@pytest.mark.parametrize(("framework", "absent"), [("pytorch", "tensorflow"), ("tensorflow", "torch")])
def test_the_readme_installs_one_framework_alone(framework, absent):
    """The other framework is in no extra that the line names, nor in anything that those need."""
    (line,) = re.findall(rf'pip install -e "\.\[({framework},.+)\]" ', (ROOT / "README.md").read_text())
    found, kept = with_all_they_need(needs(*line.split(","))), {"tensorflow", "torch"} - {absent}
    assert kept <= found and absent not in found


def test_one_version_everywhere():
    assert f"\nversion: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which a wheel of this clone is installed, without what it needs; built in a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "shot_types", folder / "shot_types", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "models", folder / "models")
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    call = [sys.executable, "-m", "pip", "install", *options, "--target", folder / "installed", folder]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "installed"


@pytest.fixture(scope="module")
def run(installed, tmp_path_factory):
    """Run Python lines in another folder, with the installed wheel and no package but its base dependencies."""
    base, dists = with_all_they_need(needs()), importlib.metadata.packages_distributions()
    absent = [name for name in dists if not {canonicalize_name(dist) for dist in dists[name]} & base]
    hide = f"import sys\nfor name in {sorted(set(absent) - {'shot_types'})}: sys.modules.setdefault(name)\n"

    def run(code, *arguments):
        call, folder = [sys.executable, "-c", hide + code, *arguments], tmp_path_factory.mktemp("elsewhere")
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        return subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True)

    return run


def test_a_wheel_answers_from_any_folder_with_the_base_dependencies(run, installed):
    picture = ROOT / "examples/pagoda_long.jpg"
    code = (
        "import json, shot_types\n"
        "print(shot_types.__file__)\n"
        "print(json.dumps(shot_types.load_classifier().predict(sys.argv[1]).probabilities))\n"
        "from shot_types.__main__ import main; sys.exit(main(['classify', sys.argv[1], '--out', 'table.csv']))\n"
    )
    done = run(code, picture)
    assert done.returncode == 0, done.stderr
    place, probabilities, *table = done.stdout.splitlines()
    assert place == str(installed / "shot_types/__init__.py")
    expected = load_classifier("onnx").predict(picture).probabilities
    assert json.loads(probabilities) == pytest.approx(expected, abs=1e-6) and "LS 1" in table[-1]
    shipped = {path.name for path in (installed / "shot_types/models").iterdir()}
    assert shipped == {"mobilenet_v3_large.onnx", "mobilenet_v3_large.onnx.json"}


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (["classify", "a.jpg", "--framework", "pytorch"], "in a clone of the repository only; .*`pip install -e .`"),
        (["film", "a.mp4"], r'needs the package \w+, which is not installed; in a clone, pip install -e "\.\[light\]"'),
    ],
)
def test_what_a_wheel_does_not_hold_is_one_sentence_with_its_remedy(run, call, sentence):
    done = run("from shot_types.__main__ import main; sys.exit(main(sys.argv[1:]))", *call)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and re.search(sentence, done.stderr), done.stderr


@pytest.mark.parametrize(("name", "status"), [("pagoda_long.jpg", 0), ("gone.jpg", 1)])
def test_the_console_command(installed, tmp_path, name, status):
    call = [installed / "bin/shot-types", "classify", ROOT / "examples" / name]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert ("LS 1" in done.stdout) == (status == 0) and ("gone.jpg: " in done.stderr) == (status == 1)
