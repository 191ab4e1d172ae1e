"""``isoalign simulate``: the device simulators by themselves, for drivers and scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def simulate(
    *,
    scene: Path | None = None,
    config: Path | None = None,
    seed: int = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Start couch, imager and pendant simulators, print their addresses and run until Ctrl-C.

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

    def show(addresses: list[dict[str, object]]) -> None:
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

    run(scene=scene, config=config, seed=seed, on_ready=show)
    return 0


def _plain(value: object) -> str:
    if isinstance(value, dict) and {"host", "port"} <= value.keys():
        return f"{value['host']}:{value['port']}"
    return str(value)
