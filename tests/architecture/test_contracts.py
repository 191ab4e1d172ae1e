"""The gates of the house hold, and each of them has been seen to fail.

A copy of the package gets one module for every import that a contract forbids; the linter must name each one.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / ".importlinter"
PACKAGE = ROOT / "src" / "isoalign"
LINTER = Path(sys.executable).with_name("lint-imports")
ROOMS = [
    "geometry",
    "records",
    "imaging",
    "registration",
    "calibration",
    "protocol",
    "interlocks",
    "positioning",
    "devices",
    "simulators",
    "dicom",
    "storage",
    "reports",
    "room",
    "cli",
]


@dataclass(frozen=True)
class Plant:
    """One import that must be refused."""

    contract: str
    importer: str
    imported: str


def contracts() -> dict[str, configparser.SectionProxy]:
    parser = configparser.ConfigParser()
    parser.read(CONFIG)
    prefix = "importlinter:contract:"
    return {name.removeprefix(prefix): parser[name] for name in parser.sections() if name.startswith(prefix)}


def words(section: configparser.SectionProxy, key: str) -> list[str]:
    return section.get(key, "").split()


def lint(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "COLUMNS": "300"}
    return subprocess.run(
        [str(LINTER), "--no-logo", "--no-cache", "--config", str(copy / ".importlinter"), *arguments],
        check=False,
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


def copy_house(target: Path) -> Path:
    shutil.copytree(PACKAGE, target / "src" / "isoalign", ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
    shutil.copy(CONFIG, target / ".importlinter")
    return target


def forbidden_plants() -> list[Plant]:
    return [
        Plant(name, importer, imported)
        for name, section in contracts().items()
        for importer in words(section, "source_modules")
        for imported in words(section, "forbidden_modules")
    ]


def broken(output: str) -> set[str]:
    return set(re.findall(r"^(.+?) BROKEN", output, flags=re.MULTILINE))


def test_house_as_it_is_keeps_every_contract() -> None:
    result = subprocess.run(
        [str(LINTER), "--no-logo", "--no-cache"], check=False, cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert result.returncode == 0, result.stdout


def test_every_forbidden_import_is_noticed(tmp_path: Path) -> None:
    """Every pair of every forbidden-contract is planted and must be named in the linter's verdict."""
    house = copy_house(tmp_path)
    plants = forbidden_plants()
    for number, plant in enumerate(plants):
        folder = house / "src" / Path(*plant.importer.split("."))
        (folder / f"planted_{number}.py").write_text(f"import {plant.imported}\n")
        if plant.imported.startswith("isoalign."):
            # an import of the package itself, so that it does not matter what the package contains
            assert (house / "src" / Path(*plant.imported.split("."))).with_suffix(".py").is_file() or (
                house / "src" / Path(*plant.imported.split("."), "__init__.py")
            ).is_file()
    result = lint(house)
    assert result.returncode != 0
    names = {section["name"] for name, section in contracts().items() if section["type"] == "forbidden"}
    assert names <= broken(result.stdout)
    unnoticed = []
    for number, plant in enumerate(plants):
        heading = f"{plant.importer} is not allowed to import {plant.imported}:"
        if heading not in result.stdout or f"planted_{number} ->" not in result.stdout:
            unnoticed.append(plant)
    assert not unnoticed


@pytest.mark.parametrize(("lower", "higher"), [("geometry", "records"), ("records", "imaging"), ("dicom", "devices")])
def test_an_import_upwards_or_sideways_breaks_the_layers(tmp_path: Path, lower: str, higher: str) -> None:
    house = copy_house(tmp_path)
    (house / "src" / "isoalign" / lower / "planted.py").write_text(f"import isoalign.{higher}\n")
    result = lint(house, "--contract", "layers")
    assert result.returncode != 0
    assert f"isoalign.{lower}.planted -> isoalign.{higher}" in result.stdout


def test_a_room_that_is_in_no_layer_is_noticed(tmp_path: Path) -> None:
    house = copy_house(tmp_path)
    (house / "src" / "isoalign" / "attic").mkdir()
    (house / "src" / "isoalign" / "attic" / "__init__.py").write_text("")
    result = lint(house, "--contract", "layers")
    assert result.returncode != 0
    assert "attic" in result.stdout


def test_every_room_is_a_source_of_a_contract() -> None:
    """A room without a forbidden list would be held by the layers alone."""
    sources = {word for section in contracts().values() for word in words(section, "source_modules")}
    assert sources >= {f"isoalign.{room}" for room in ROOMS}
