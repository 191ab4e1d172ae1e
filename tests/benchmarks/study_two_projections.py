"""Speed and error of the 2D/3D match beside ITK's module for two projections, on the same images, turn by turn.

    python tests/benchmarks/study_two_projections.py            two poses, images reduced to 128 x 128 pixels
    python tests/benchmarks/study_two_projections.py --full     five poses, 128, 256 and 512 pixels
    python tests/benchmarks/study_two_projections.py --peer-python PYTHON

Two panels of 409.6 mm at 1500 mm see the built-in head, which lies wrong by up to 5 mm and 2 degrees; both begin at the
planned place. The module (itk-twoprojectionregistration) gets line integrals and attenuation, so that it needs no
conversion, and has the settings of its own example. It needs another ITK than this project's peers have: name a
Python that has it with --peer-python or ISOALIGN_TWO_PROJECTION_PYTHON; without one nothing is compared. The match gets
the same pixels as a panel would send them, and does all that it always does, a verdict included. Exits with 1 when the
match is not 30 times as fast at the largest size, or misses by 0.3 mm or more.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from study_matcher import NEAR, PANELS, Heads, Kind, error_mm

from isoalign.geometry import Fixed, PixelGrid, Pose
from isoalign.imaging import radiograph_line_integrals
from isoalign.records import Radiograph
from isoalign.registration import match_2d3d, warmup

ENVIRONMENT = "ISOALIGN_TWO_PROJECTION_PYTHON"
GOAL_RATIO, GOAL_MM = 30.0, 0.3
AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Fixed (IEC) axes from the DICOM axes of a head first supine patient."""


def reduced(view: Radiograph, factor: int) -> Radiograph:
    """As a panel of larger pixels would send it."""
    rows, columns = view.pixels.shape
    blocks = view.pixels.reshape(rows // factor, factor, columns // factor, factor).astype(np.float64)
    grid = view.geometry.grid
    wider = PixelGrid.centred(rows // factor, columns // factor, grid.row_spacing_mm * factor)
    pixels = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint16)
    return replace(view, pixels=pixels, geometry=replace(view.geometry, grid=wider))


def ask_peer(python: str, folder: Path, heads: Heads, views: tuple[Radiograph, ...]) -> dict[str, Any]:
    """What the module finds, and how long it took."""
    volume = heads.built_in
    grid = views[0].geometry.grid
    given = folder / "given.npz"
    np.savez(
        given,
        volume=np.maximum(volume.hounsfield.astype(np.float32) + 1000.0, 0.0) * 2e-5,
        voxel_mm=volume.spacing_mm,
        first_voxel_mm=AXES.T @ heads.built_in_planned.apply(volume.origin_mm),
        images=np.stack([radiograph_line_integrals(view)[::-1] for view in views]),
        pixel_mm=(grid.column_spacing_mm, grid.row_spacing_mm),
        first_pixel_mm=(grid.first_pixel_mm[0], -abs(grid.first_pixel_mm[1])),
    )
    peer = Path(__file__).with_name("two_projection_peer.py")
    done = subprocess.run([python, str(peer), str(given)], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def peer_error_mm(found: dict[str, Any], heads: Heads, truth: Any) -> float:
    """The module's transform leads from where the CT was planned to where it is, along the axes of the CT."""
    turn, shift_mm = np.array(found["matrix"]), np.array(found["translation_mm"])
    moved = Pose(Fixed, Fixed, AXES @ turn @ AXES.T, AXES @ shift_mm)
    return error_mm(moved @ heads.built_in_planned, truth)


def main() -> int:
    """Print the table; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--peer-python", default=os.environ.get(ENVIRONMENT))
    options = parser.parse_args()
    if options.peer_python is None:
        print(f"no Python with itk-twoprojectionregistration is named ({ENVIRONMENT}): nothing to compare with")
        return 0
    factors, poses = ((4, 2, 1), 5) if options.full else ((4,), 2)
    warmup()
    good = True
    with tempfile.TemporaryDirectory(prefix="isoalign-study-") as name:
        heads = Heads(Path(name))
        prepared = heads.prepared("built in")
        print("pixels   poses   ours: s, processor s, error mm   ITK: s, processor s, error mm   ratio   load average")
        for factor in factors:
            rows = []
            for number in range(poses):
                whole, truth = heads.radiographs(Kind("clean", NEAR, 1.0), number)
                views = tuple(reduced(view, factor) for view in whole)
                if number == 0:  # the first match of a process also reads compiled code from the disk
                    match_2d3d(prepared, views, heads.built_in_planned)
                busy_s, begun_s = time.process_time(), time.perf_counter()
                match = match_2d3d(prepared, views, heads.built_in_planned)
                took_s, used_s = time.perf_counter() - begun_s, time.process_time() - busy_s
                peer = ask_peer(options.peer_python, Path(name), heads, views)
                rows.append(
                    (
                        *(took_s, used_s, error_mm(match.found, truth)),
                        *(peer["seconds"], peer["processor_s"], peer_error_mm(peer, heads, truth)),
                    )
                )
            ours_s, ours_cpu_s, ours_mm, peer_s, peer_cpu_s, peer_mm = np.median(rows, axis=0)
            ratio = peer_s / ours_s
            print(
                f"{512 // factor:6} {poses:7}   {ours_s:7.2f} {ours_cpu_s:12.2f} {ours_mm:10.3f}   "
                f"{peer_s:7.1f} {peer_cpu_s:12.1f} {peer_mm:10.3f}   {ratio:5.0f}   {os.getloadavg()[0]:.1f}",
                flush=True,
            )
            good = ours_mm < GOAL_MM and ratio >= GOAL_RATIO
        heads.close()
    said = "reached" if good else "missed"
    print(f"{len(PANELS)} views; goal at the largest size: {GOAL_RATIO:g} times as fast, {GOAL_MM:g} mm: {said}")
    return int(not good) if options.full else 0


if __name__ == "__main__":
    sys.exit(main())
