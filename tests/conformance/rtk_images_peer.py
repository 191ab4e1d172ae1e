"""The cone-beam toolkit RTK on images, in a process of its own: reconstruct (FDK) or project (Joseph).

``python rtk_images_peer.py FOLDER THREADS`` says "ready" when its libraries are loaded. Then one line in: the name of
an npz file in FOLDER. One line out: the seconds that RTK took; its image is in FOLDER, as ``NAME.rtk.npy``. Arrays
are in RTK's own order: (z, y, x), rows of a projection upwards.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wrapper's own
        import itk
        from itk import RTK

        itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(threads)
        image_type = itk.Image[itk.F, 3]
        RTK.FDKConeBeamReconstructionFilter[image_type].New()

    def image(array: Any, spacing: Any, origin: Any) -> Any:
        made = itk.image_from_array(np.ascontiguousarray(array, dtype=np.float32))
        made.SetSpacing([float(value) for value in spacing])
        made.SetOrigin([float(value) for value in origin])
        return made

    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        name = json.loads(line)
        with np.load(folder / name) as given:
            geometry = RTK.ThreeDCircularProjectionGeometry.New()
            for parameters in given["parameters"]:
                geometry.AddProjection(*(float(value) for value in parameters))
            projections = image(given["projections"], given["pixel_mm"], given["first_pixel_mm"])
            volume = image(given["volume"], given["voxel_mm"], given["first_voxel_mm"])
            if str(given["task"]) == "reconstruct":
                task = RTK.FDKConeBeamReconstructionFilter[image_type].New()
                task.SetInput(0, volume)
                displaced = RTK.DisplacedDetectorImageFilter[image_type].New()
                displaced.SetInput(projections)
                displaced.SetGeometry(geometry)
                parker = RTK.ParkerShortScanImageFilter[image_type].New()
                parker.SetInput(displaced.GetOutput())
                parker.SetGeometry(geometry)
                task.SetInput(1, parker.GetOutput())
            else:
                task = RTK.JosephForwardProjectionImageFilter[image_type, image_type].New()
                task.SetInput(0, projections)
                task.SetInput(1, volume)
            task.SetGeometry(geometry)
            begun = time.perf_counter()
            task.Update()
            took = time.perf_counter() - begun
            np.save(folder / f"{name}.rtk.npy", itk.array_from_image(task.GetOutput()))
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
