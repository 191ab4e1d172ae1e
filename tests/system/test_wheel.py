"""The package from a wheel: everything it needs at run time is inside, and it runs from there."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.system, pytest.mark.timeless]

USE = """
import isoalign, pathlib, sys
target = pathlib.Path(sys.argv[1])
assert pathlib.Path(isoalign.__file__).is_relative_to(target), isoalign.__file__
from isoalign.cli import main
assert main(["convert", "1", "-2", "3", "--pitch", "-1"]) == 0
assert main(["config", "check"]) == 0
from isoalign.storage import Database
with Database(target / "test.db") as database:
    database.audit.append("opened")
    assert database.audit.verify() == 1
from isoalign.reports import write_session_report
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-index"]
    subprocess.run([*command, "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)], check=True)
    (found,) = folder.glob("isoalign-*.whl")
    return found


def test_wheel_is_pure_and_holds_its_data(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    in_tree = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "isoalign").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert in_tree <= names
    assert {"isoalign/py.typed", "isoalign/room/room.example.toml"} <= names


def test_package_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE, str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr
