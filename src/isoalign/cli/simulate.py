"""``isoalign simulate``: the device simulators by themselves, for drivers and scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

simulate = App(name="simulate", help="Start the device simulators and print their addresses.")


@simulate.default
@simulate.command(name="room")
def start(
    *,
    scene: Path | None = None,
    config: Path | None = None,
    seed: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Start couch, imager, pendant and gantry simulators, print their addresses and run until Ctrl-C.

    Each is a process of its own and speaks the real bytes: the couch on a pseudo-terminal, the others on TCP
    (127.0.0.1, free ports).

    Parameters
    ----------
    scene
        What lies on the couch: a scene file (JSON); an empty couch by default.
    config
        Configuration of the room, room.toml; the defaults without it.
    seed
        Seed of the simulated noise.
    as_json
        Print the addresses as one JSON document.
    """
    from isoalign.room.simulate import run

    run(scene=scene, config=config, seed=seed, on_ready=lambda addresses: _show(addresses, as_json=as_json))
    return 0


def _one(kind: str, options: tuple[str, ...]) -> int:
    from isoalign.room.simulate import run_one

    as_json = "--json" in options
    given = [option for option in options if option != "--json"]
    run_one(kind, given, on_ready=lambda addresses: _show(addresses, as_json=as_json))
    return 0


Options = Annotated[str, Parameter(allow_leading_hyphen=True)]


@simulate.command
def couch(*options: Options) -> int:
    """Start the couch simulator alone, print its addresses and run until Ctrl-C.

    Parameters
    ----------
    options
        Those of python -m isoalign.simulators couch (its --help lists them), e.g. --tcp --payload-kg 80; and --json.
    """
    return _one("couch", options)


@simulate.command
def imager(*options: Options) -> int:
    """Start generator and panel of one kV imager alone, print their addresses and run until Ctrl-C.

    Parameters
    ----------
    options
        Those of python -m isoalign.simulators imager (its --help lists them), e.g. --name A; and --json.
    """
    return _one("imager", options)


@simulate.command
def generator(*options: Options) -> int:
    """Start an X-ray generator simulator alone, print its addresses and run until Ctrl-C.

    Parameters
    ----------
    options
        Those of python -m isoalign.simulators generator (its --help lists them), e.g. --beam with the truth address of
        a panel that its X-rays hit; and --json.
    """
    return _one("generator", options)


@simulate.command
def panel(*options: Options) -> int:
    """Start a flat panel simulator alone, print its addresses and run until Ctrl-C.

    Parameters
    ----------
    options
        Those of python -m isoalign.simulators panel (its --help lists them), e.g. --name A; and --json.
    """
    return _one("panel", options)


@simulate.command
def pendant(*options: Options) -> int:
    """Start the pendant simulator alone, print its addresses and run until Ctrl-C.

    Parameters
    ----------
    options
        Those of python -m isoalign.simulators pendant (its --help lists them); and --json.
    """
    return _one("pendant", options)


@simulate.command
def gantry(*options: Options) -> int:
    """Start the simulator of gantry and imager arm alone, print its addresses and run until Ctrl-C.

    Parameters
    ----------
    options
        Those of python -m isoalign.simulators gantry (its --help lists them), e.g. --start -90; and --json.
    """
    return _one("gantry", options)


@simulate.command
def fault(
    address: str,
    name: str,
    /,
    *parameters: str,
    end: Annotated[bool, Parameter(name="--end", negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Play a fault on a running simulator, or end it.

    The simulator says which faults it can play when it is asked for one that it cannot.

    Parameters
    ----------
    address
        HOST:PORT of the simulator's truth or control connection, as isoalign simulate prints it.
    name
        The fault, e.g. stuck_axis. With --end also all: every fault of this simulator ends.
    parameters
        What the fault needs, each as key=value, e.g. axis=longitudinal.
    end
        End the fault instead of beginning it.
    as_json
        Print the answer as a JSON document.
    """
    from isoalign.simulators.truth_client import ask, parameters_from_words

    request: dict[str, object] = {"do": "clear" if end else "fault", "name": name, **parameters_from_words(parameters)}
    if end and name == "all":
        del request["name"]
    answer = ask(address, request)
    if as_json:
        print(json.dumps({"schema": "isoalign.simulator-answer/1", **answer}, indent=2))
    else:
        print(f"{address}: {name} {'ended' if end else 'is played'}")
    return 0


def _show(addresses: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"schema": "isoalign.simulators/1", "simulators": addresses}, indent=2), flush=True)
        return
    for address in addresses:
        facts = {key: value for key, value in address.items() if key not in ("ready", "kind")}
        print(
            f"{address['kind']:<10}",
            "  ".join(f"{key} {_plain(value)}" for key, value in facts.items()),
            flush=True,
        )


def _plain(value: object) -> str:
    if isinstance(value, dict) and {"host", "port"} <= value.keys():
        return f"{value['host']}:{value['port']}"
    return str(value)
