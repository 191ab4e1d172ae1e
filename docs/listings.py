"""Lists that are read from the package: error codes, exit codes, commands, the public names of each room."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import itertools
import re
import types
import typing
from pathlib import Path

import isoalign
from isoalign.cli.program import COMMANDS
from isoalign.errors import IsoalignError, RemoteError
from isoalign.geometry import NAMED_SCALES, SCALE_AXES, AxisScale, MachineScale, PatientPosition, Wrap
from isoalign.geometry import fixed_rotation_from_dicom as rotation_of_position

PACKAGE = Path(isoalign.__file__).parent

ROOMS = {
    "geometry": "Geometry",
    "geometry.clearance": "Clearance",
    "records": "Records",
    "imaging": "Imaging",
    "registration": "Registration",
    "calibration": "Calibration",
    "protocol": "Firmware protocol",
    "interlocks": "Interlocks",
    "positioning": "Positioning",
    "devices": "Devices",
    "simulators": "Simulators",
    "dicom": "DICOM",
    "storage": "Storage",
    "reports": "Reports",
    "room": "Room",
}


def write_all(folder: Path) -> None:
    """Write every list below ``folder``; files that would not change are left alone, so that builds stay quick."""
    write_list(folder / "error-codes.md", error_codes())
    write_list(folder / "exit-codes.md", exit_codes())
    write_list(folder / "commands.md", commands())
    write_list(folder / "patient-positions.md", patient_positions())
    write_list(folder / "machine-scales.md", machine_scales())
    for room, title in ROOMS.items():
        write_list(folder / "api" / f"{room}.rst", room_page(room, title))


def write_list(path: Path, text: str) -> None:
    """Write a list unless it is there already, word for word."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def error_classes() -> list[type[IsoalignError]]:
    """Every error class of the package, in the order of their codes."""
    for module in sorted(PACKAGE.rglob("*.py")):
        if re.search(r"^class \w+\(.*\):", module.read_text(encoding="utf-8"), flags=re.MULTILINE):
            if module.name == "__main__.py":
                continue
            parts = module.relative_to(PACKAGE.parent).with_suffix("").parts
            importlib.import_module(".".join(part for part in parts if part != "__init__"))
    found: set[type[IsoalignError]] = set()
    waiting: list[type[IsoalignError]] = [IsoalignError]
    while waiting:
        for sub in waiting.pop().__subclasses__():
            if sub.__module__.startswith("isoalign") and sub not in found:
                found.add(sub)
                waiting.append(sub)
    return sorted(found - {RemoteError}, key=lambda one: one.code)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def error_codes() -> str:
    """The table of error codes."""
    rows = [
        f"| `{one.code}` | {one.exit_code} | {_cell(inspect.getdoc(one) or '')} | {_cell(one.default_hint) or '–'} |"
        for one in error_classes()
    ]
    head = ["| Code | Exit code | What it means | What to do |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def exit_codes() -> str:
    """The table of exit codes: one family of errors for each."""
    fixed = {
        0: "The command did what it should; a session is aligned.",
        1: "Something unexpected happened; a crash log was written.",
        2: "The command line or a configuration file cannot be used.",
        130: "Interrupted with Ctrl-C.",
    }
    families: dict[int, str] = dict(fixed)
    for one in IsoalignError.__subclasses__():
        if one.exit_code not in families:
            families[one.exit_code] = _cell((inspect.getdoc(one) or "").split("\n\n")[0])
    rows = [f"| {code} | {meaning} |" for code, meaning in sorted(families.items())]
    return "\n".join(["| Exit code | Meaning |", "|---|---|", *rows]) + "\n"


def commands() -> str:
    """Each command with its arguments, from the functions that the program calls."""
    parts = []
    for name, (target, line) in COMMANDS.items():
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        functions = {name: command} if inspect.isfunction(command) else _subcommands(name, command)
        parts.append(f"## isoalign {name}\n\n{line}\n")
        for full_name, function in functions.items():
            parts.append(_command(full_name, function, sub=full_name != name))
    return "\n".join(parts)


def _subcommands(name: str, app: object) -> dict[str, object]:
    found = {} if app.default_command is None else {name: app.default_command}  # type: ignore[attr-defined]
    for sub in app:  # type: ignore[attr-defined]
        if not sub.startswith("-"):
            found[f"{name} {sub}"] = app[sub].default_command  # type: ignore[index]
    return found


def _command(name: str, function: object, *, sub: bool) -> str:
    documentation = inspect.getdoc(function) or ""
    summary, _, parameters = documentation.partition("Parameters\n----------\n")
    lines = [
        f"### isoalign {name}\n" if sub else "",
        summary.strip() if sub else "\n".join(summary.split("\n")[1:]).strip(),
    ]
    signature = inspect.signature(function, eval_str=True)  # type: ignore[arg-type]
    options = _options(parameters, signature)
    if options:
        lines += ["", "| Argument | Default | Meaning |", "|---|---|---|"]
    for argument, meaning, parameter in options:
        given = [name for data in getattr(parameter.annotation, "__metadata__", ()) for name in (data.name or ())]
        shown = given[0] if given else f"--{argument.replace('_', '-')}"
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            shown = argument.upper()
        default = parameter.default
        is_silent = any(default is none for none in (inspect.Parameter.empty, None, False)) or default in {"", ()}
        lines.append(f"| `{shown}` | {'' if is_silent else f'`{default}`'} | {_cell(meaning)} |")
    return "\n".join(lines) + "\n"


def _options(parameters: str, signature: inspect.Signature) -> list[tuple[str, str, inspect.Parameter]]:
    """Name, meaning and parameter of each option; also those of a group that several commands share."""
    described = dict(re.findall(r"^(\w+)\n((?: {4}.*\n?)+)", parameters, flags=re.MULTILINE))
    found = [(name, meaning, signature.parameters[name]) for name, meaning in described.items()]
    for name, parameter in signature.parameters.items():
        if name not in described and dataclasses.is_dataclass(parameter.annotation):
            group = parameter.annotation
            _, _, shared = (inspect.getdoc(group) or "").partition("Parameters\n----------\n")
            found += _options(shared, inspect.signature(group, eval_str=True))  # type: ignore[arg-type]
    return found


FIRST = {
    "HF": "head first",
    "FF": "feet first",
    "LF": "left first",
    "RF": "right first",
    "AF": "front first",
    "PF": "back first",
}
LYING = {"S": "supine", "P": "prone", "DL": "on the left side", "DR": "on the right side"}
PATIENT_DIRECTIONS = (("right (−x)", "left (+x)"), ("front (−y)", "back (+y)"), ("feet (−z)", "head (+z)"))


def patient_positions() -> str:
    """The table of patient positions: which direction of the patient lies along each axis of the room."""
    rows = []
    for position in PatientPosition:
        term = position.value
        words = "sits, looks to the gantry" if term == "SITTING" else f"{FIRST[term[:2]]}, {LYING[term[2:]]}"
        along = [_patient_direction(list(row)) for row in rotation_of_position(position)]
        rows.append(f"| `{term}` | {words} | {' | '.join(along)} |")
    head = ["| Term | Patient | Your right (+X) is | Gantry (+Y) is | Up (+Z) is |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def _patient_direction(row: list[float]) -> str:
    """One row of a signed permutation in words."""
    (axis,) = [index for index, value in enumerate(row) if value]
    return PATIENT_DIRECTIONS[axis][int(row[axis] > 0)]


def machine_scales() -> str:
    """The table of named scales, axis by axis, and who says so."""
    scales = list(NAMED_SCALES.values())
    names = [f"`{scale.name}`" for scale in scales]
    lines = ["| Axis | " + " | ".join(names) + " |", "|---" * (len(scales) + 1) + "|"]
    for axis in SCALE_AXES:
        cells = [_scale_cell(scale, axis) for scale in scales]
        lines.append(f"| {axis.replace('_', ' ')} | {' | '.join(cells)} |")
    origins = [_origin_cell(scale) for scale in scales]
    lines += [f"| table-top origin (mm) | {' | '.join(origins)} |", ""]
    for name, scale in zip(names, scales, strict=True):
        sources = {one.source: None for one in scale.axes.values() if one.is_verified}
        lines.append(f"- {name}: {'; '.join(sources) or 'no source for any axis'}")
    return "\n".join(lines) + "\n"


def _scale_cell(scale: MachineScale, axis: str) -> str:
    if axis not in scale.axes:
        return "–"
    if axis in scale.unverified_axes:
        return "**unverified**"
    return _reading(scale.axes[axis])


def _reading(one: AxisScale) -> str:
    value = "a" if one.unit_size == 1.0 else f"a / {one.unit_size:g}"
    zero = f"{one.zero:g}".replace("-", "−")
    if one.zero == 0.0:
        shown = value if one.sign > 0 else f"−{value}"
    else:
        shown = f"{zero} {'+' if one.sign > 0 else '−'} {value}"
    return shown if one.wrap is Wrap.CONTINUOUS else f"{shown}, shown {one.wrap.value}"


def _origin_cell(scale: MachineScale) -> str:
    shown = ", ".join(f"{value:g}" for value in scale.table_top_origin_mm)
    if scale.origin_source.strip():
        return shown
    return f"{shown}: **unverified**" if any(scale.table_top_origin_mm) else "**unverified**"


def room_page(room: str, title: str) -> str:
    """The page of one room: its docstring and the names of its public face, also of its public parts."""
    name = f"isoalign.{room}"
    lines = [title, "=" * len(title), "", f".. automodule:: {name}", "   :no-members:", ""]
    lines += _public_names(name)
    for part in _public_parts(name):
        heading = part.removeprefix("isoalign.")
        lines += [heading, "-" * len(heading), "", f".. automodule:: {part}", "   :no-members:", ""]
        lines += _public_names(part)
    return "\n".join(lines)


def _public_parts(name: str) -> list[str]:
    """The modules that a room names in its ``__all__`` instead of objects."""
    module = importlib.import_module(name)
    parts = [f"{name}.{part}" for part in getattr(module, "__all__", ()) if not hasattr(module, part)]
    parts += [
        f"{name}.{part}" for part in getattr(module, "__all__", ()) if inspect.ismodule(getattr(module, part, None))
    ]
    return [part for part in sorted(set(parts)) if getattr(importlib.import_module(part), "__all__", None)]


def _public_names(name: str) -> list[str]:
    module = importlib.import_module(name)
    lines = []
    for public in getattr(module, "__all__", ()):
        value = getattr(module, public, module)
        if inspect.ismodule(value):
            continue
        if isinstance(value, types.GenericAlias) or typing.get_origin(value) is not None:
            lines += [f".. py:data:: {name}.{public}", "", f"   Type alias: ``{value}``.", ""]
        elif not getattr(value, "__module__", "isoalign").startswith("isoalign"):
            lines += [f".. py:data:: {name}.{public}", "", f"   ``{value.__module__}.{public}``.", ""]
        elif inspect.isclass(value):
            kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
            lines += [f".. {kind}:: {name}.{public}", ""]
        elif callable(value) and hasattr(value, "__name__"):
            lines += [f".. autofunction:: {name}.{public}", ""]
        else:
            lines += [f".. py:data:: {name}.{public}", "", f"   {_constant_text(name, public, value)}", ""]
    return lines


def _constant_text(name: str, public: str, value: object) -> str:
    """What the string after a constant's definition says, wherever in the room that stands, and its value."""
    room = PACKAGE / name.split(".")[1]
    told = ""
    for module in sorted(room.rglob("*.py")):
        body = ast.parse(module.read_text(encoding="utf-8")).body
        for statement, following in itertools.pairwise(body):
            target = getattr(statement, "target", None) or next(iter(getattr(statement, "targets", [])), None)
            if getattr(target, "id", None) == public and isinstance(following, ast.Expr):
                told = _cell(str(getattr(following.value, "value", "")))
    shown = repr(value)
    return f"{told} Value: ``{shown}``." if len(shown) < 120 else told or f"A {type(value).__name__}."
