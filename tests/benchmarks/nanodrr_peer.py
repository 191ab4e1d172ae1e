"""The renderer nanodrr, for studies: ``python nanodrr_peer.py GIVEN.npz IMAGES.npy``.

The file holds a volume (``volume``, (z, y, x), and ``world_from_voxel``), for each image the place of the camera
(``world_from_camera``, (n, 4, 4): right, down, towards the detector, source), ``sid_mm``, ``pixel_mm``, ``shape``
(rows, columns), ``samples`` along every ray and ``threads``. Prints the seconds of every image as JSON, after one that
is not counted. Runs in any interpreter that has nanodrr and torch; this package is not needed.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np


def main() -> None:
    import torch
    from nanodrr.data import Subject
    from nanodrr.drr import DRR
    from torchio import ScalarImage

    given = np.load(sys.argv[1])
    torch.set_num_threads(int(given["threads"]))
    volume = torch.from_numpy(np.ascontiguousarray(given["volume"].transpose(2, 1, 0)))[None]
    subject = Subject.from_images(ScalarImage(tensor=volume, affine=given["world_from_voxel"]), convert_to_mu=False)
    rows, columns = (int(one) for one in given["shape"])
    pixel_mm = float(given["pixel_mm"])
    renderer = DRR.from_carm_intrinsics(
        float(given["sid_mm"]), pixel_mm, pixel_mm, 0.0, 0.0, rows, columns, dtype=torch.float32
    )
    cameras = [torch.tensor(one, dtype=torch.float32)[None] for one in given["world_from_camera"]]
    taken, images = [], []
    with torch.no_grad():
        renderer(subject, cameras[0], n_samples=int(given["samples"]))
        for camera in cameras:
            begun = time.perf_counter()
            image = renderer(subject, camera, n_samples=int(given["samples"]))
            taken.append(time.perf_counter() - begun)
            images.append(image[0, 0].numpy())
    np.save(sys.argv[2], np.stack(images))
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
