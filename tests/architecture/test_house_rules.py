"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from isoalign.errors import IsoalignError

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "isoalign"
MOST_LINES = 600
GENERATED = {PACKAGE / "protocol" / "messages.py", PACKAGE / "protocol" / "readers.py"}
HEAVY = (
    "numba",
    "scipy",
    "pydicom",
    "pynetdicom",
    "matplotlib",
    "sqlalchemy",
    "pydantic",
    "jinja2",
    "PIL",
    "serial",
    "numpy",
)
TEXT_ENDINGS = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".j2",
    ".css",
    ".html",
    ".json",
    ".svg",
    ".h",
    ".ini",
    ".cfg",
    ".yaml",
    "",
}
UNTRACKED = {
    ".git",
    ".venv",
    "node_modules",
    "_build",
    "generated",
    "__pycache__",
    "demo-output",
    "soak-output",
    "bench-output",
}


def text_files() -> list[Path]:
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [
            name for name in folders if name not in UNTRACKED and not (name.startswith(".") and name != ".ci")
        ]
        found += [Path(folder, name) for name in files if Path(name).suffix in TEXT_ENDINGS]
    return found


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_has_one_subject_and_fits_the_limit(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    if module not in GENERATED:
        assert len(text.splitlines()) <= MOST_LINES
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{module.relative_to(ROOT)} does not say what it is for"


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    pattern = re.compile(r"(?<![\w.~-])/(?:work|home|root|Users)/[\w.-]+")
    named = []
    for path in text_files():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if pattern.search(line):
                named.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not named


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-dev.txt"])
def test_a_lock_file_pins_by_hash_and_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"https?:|file:|--(extra-)?index|--find-links|--trusted", text)
    blocks = re.split(r"\n(?=\S)", text)
    pins = [block for block in blocks if "==" in block.split("\n")[0]]
    assert len(pins) > 20
    assert all("--hash=sha256:" in block for block in pins)


def imported_by(code: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n' + ' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {name.split(".")[0] for name in shown.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize(
    "code",
    [
        "import isoalign",
        "import isoalign.errors, isoalign.clock",
        "from isoalign.cli import main; assert main(['--help']) == 0",
        "from isoalign.cli import main; assert main(['--version']) == 0",
    ],
)
def test_quick_commands_load_nothing_heavy(code: str) -> None:
    assert not imported_by(code) & set(HEAVY)


def test_geometry_loads_compilers_and_optimisers_only_when_they_are_used() -> None:
    """The device daemon converts single positions all day and must not carry them."""
    assert not imported_by("import isoalign.geometry") & {"numba", "scipy", "fcl"}
    conversion = "from isoalign.geometry import *; TableTopArray.from_rows(Representation.IEC_61217, [[0] * 6])"
    assert "numba" in imported_by(f"{conversion}.in_representation(Representation.ISOCENTRIC_STANDARD)")


def test_looking_for_heavy_modules_would_find_them() -> None:
    """The check above can fail: loading the geometry does load numpy."""
    assert "numpy" in imported_by("import isoalign.geometry") & set(HEAVY)


def error_classes() -> list[type[IsoalignError]]:
    importlib.import_module("isoalign.errors")
    for module in sorted(PACKAGE.rglob("*.py")):
        if re.search(r"class \w+\(\w*(Error|Invalid\w*)\)", module.read_text(encoding="utf-8")):
            parts = module.relative_to(PACKAGE.parent).with_suffix("").parts
            importlib.import_module(".".join(part for part in parts if part != "__init__"))
    known: list[type[IsoalignError]] = []
    waiting: list[type[IsoalignError]] = [IsoalignError]
    while waiting:
        one = waiting.pop()
        known.append(one)
        waiting += [sub for sub in one.__subclasses__() if sub.__module__.startswith("isoalign")]
    return known


def test_every_error_has_a_code_of_its_own_and_says_what_it_means() -> None:
    classes = error_classes()
    assert len(classes) > 20
    by_code: dict[str, type[IsoalignError]] = {}
    for one in classes:
        assert one.__doc__, one
        assert re.fullmatch(r"[a-z0-9]+(\.[a-z0-9-]+)+", one.code), one.code
        assert one.code not in by_code, f"{one.__name__} and {by_code[one.code].__name__} share the code {one.code}"
        by_code[one.code] = one
        if one.__module__ != "isoalign.errors":
            assert one.exit_code in {*range(2, 11), 130}, one


@pytest.mark.parametrize("script", sorted((ROOT / "calibration").glob("**/*.py")), ids=lambda path: path.name)
def test_a_calibration_script_is_short_and_uses_public_names(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    allowed = {"isoalign", "isoalign.calibration", "isoalign.reports", "isoalign.errors", "isoalign.clock"}
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            assert not any(alias.name.startswith("_") for alias in node.names)
        assert all(name in allowed for name in names if name.split(".")[0] == "isoalign"), names
