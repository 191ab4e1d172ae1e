"""Make frames.npz and truth.json: a small panel with planted errors, computed with nothing but numpy.

Gain that varies smoothly and from pixel to pixel, offsets by column and pixel, dead pixels, four kinds of traps, and
what no map contains: an answer that bends a little with the dose. Run it again only to change the golden input.
"""

import json
from pathlib import Path

import numpy as np

ROWS, COLUMNS, BEND = 72, 56, 0.01
PARTS, TIMES_S = np.array([0.02, 0.008, 0.004, 0.002]), np.array([0.1, 0.6, 4.0, 30.0])


def main() -> None:
    """Write the golden input and what is true."""
    dice = np.random.default_rng(2026)
    y, x = np.mgrid[-1 : 1 : ROWS * 1j, -1 : 1 : COLUMNS * 1j]
    gain = (1 + 0.06 * x - 0.04 * y * y) * (1 + 0.02 * dice.standard_normal((ROWS, COLUMNS)))
    offset = 180 + dice.normal(0, 4, COLUMNS) + dice.normal(0, 4, (ROWS, COLUMNS))
    dead = np.zeros((ROWS, COLUMNS), bool)
    dead[[8, 50, 61], [5, 44, 13]] = True
    trapped = np.zeros((4, ROWS, COLUMNS))

    def read(level: float, after_s: float) -> np.ndarray:
        nonlocal trapped
        trapped = trapped * np.exp(-after_s / TIMES_S)[:, None, None]
        light = dice.poisson(level * (1 - BEND * level / 40_000) * gain / 0.15) * 0.15
        counts = light + trapped.sum(axis=0) + offset + dice.normal(0, 3, (ROWS, COLUMNS))
        trapped = trapped + PARTS[:, None, None] * light
        return np.where(dead, 0, np.clip(np.rint(counts), 0, 65535)).astype(np.uint16)

    arrays = {"dark": np.stack([read(0.0, 1 / 15) for _ in range(50)])}
    for number, level in enumerate((9_000.0, 20_000.0), start=1):
        arrays[f"flood{number}"] = np.stack([read(level, 60.0) for _ in range(8)])
    steps = np.r_[np.full(12, 1 / 15), np.full(6, 1.5)]
    for number in (1, 2):
        arrays[f"lag{number}"] = np.stack([read(18_000.0, 300.0), *(read(0.0, step) for step in steps)])
        arrays[f"lag{number}_t_s"] = np.cumsum(steps)
    facts = {"name": "A", "serial": "GOLDEN-A", "measured_at": "2026-03-01T07:30:00+00:00", "temperature_c": 31.5}
    folder = Path(__file__).parent
    np.savez_compressed(folder / "frames.npz", **arrays, **{name: np.array(value) for name, value in facts.items()})
    truth = {"parts": PARTS.tolist(), "times_s": TIMES_S.tolist(), "dead": np.argwhere(dead).tolist()}
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
