"""The cone-beam toolkit RTK in a process of its own, for studies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

PEER = Path(__file__).parents[1] / "conformance" / "rtk_images_peer.py"
Float32 = npt.NDArray[np.float32]


class Rtk:
    """RTK in a process of its own: seconds and image of each task."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(PEER), str(folder), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def __call__(self, **arrays: object) -> tuple[float, Float32]:
        np.savez(self.folder / "given.npz", **arrays)  # type: ignore[arg-type]
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps("given.npz") + "\n")
        self.process.stdin.flush()
        took = json.loads(self.process.stdout.readline())
        return took, np.load(self.folder / "given.npz.rtk.npy")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)
