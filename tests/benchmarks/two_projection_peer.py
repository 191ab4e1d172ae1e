"""ITK's module for two projections (itk-twoprojectionregistration), with the settings of its own example.

``python two_projection_peer.py GIVEN.npz`` with the CT of a head first supine patient (``volume``, (z, y, x), with
``voxel_mm`` and ``first_voxel_mm`` from the isocentre, along the DICOM axes) and two images of line integrals
(``images``, rows upwards, gantry at 0 and 90 degrees) of ``pixel_mm`` and ``first_pixel_mm``. Prints JSON: seconds,
seconds of processor, the motion that was found, and the metric at the end. Runs in any interpreter that has the module
and numpy; this package is not needed.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np

SAD_MM, SID_MM = 1000.0, 1500.0


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import itk
    kind = itk.Image[itk.F, 3]
    given = np.load(sys.argv[1])

    def image(array: Any, spacing: Any, origin: Any) -> Any:
        made = itk.image_from_array(np.ascontiguousarray(array, dtype=np.float32))
        made.SetSpacing([float(value) for value in spacing])
        made.SetOrigin([float(value) for value in origin])
        return made

    # the module takes the first voxel for its origin, and the centre of the transform for the isocentre
    moving = image(given["volume"], given["voxel_mm"], (0.0, 0.0, 0.0))
    pixel, first = given["pixel_mm"], given["first_pixel_mm"]
    transform = itk.Euler3DTransform[itk.D].New()
    transform.SetIdentity()
    transform.SetCenter([-float(value) for value in given["first_voxel_mm"]])
    metric = itk.NormalizedCorrelationTwoImageToOneImageMetric[kind, kind].New()
    metric.ComputeGradientOff()
    metric.SetSubtractMean(True)
    method = itk.TwoProjectionImageRegistrationMethod[kind, kind].New()
    interpolators = []
    for number, (array, angle) in enumerate(zip(given["images"], (0.0, 90.0), strict=True), start=1):
        fixed = image(array[None], (*pixel, 1.0), (*first, -SID_MM))
        interpolator = itk.SiddonJacobsRayCastInterpolateImageFunction[kind, itk.D].New()
        interpolator.SetProjectionAngle(np.deg2rad(angle))
        interpolator.SetFocalPointToIsocenterDistance(SAD_MM)
        interpolator.SetThreshold(0.0)
        interpolator.SetTransform(transform)
        getattr(method, f"SetFixedImage{number}")(fixed)
        getattr(method, f"SetFixedImageRegion{number}")(fixed.GetBufferedRegion())
        getattr(method, f"SetInterpolator{number}")(interpolator)
        interpolators.append((interpolator, fixed))
    if len(sys.argv) > 2:  # what the module itself projects, to check the axes
        found = []
        for interpolator, fixed in interpolators:
            interpolator.SetInputImage(moving)
            interpolator.Initialize()
            rows, columns = given["images"].shape[1:]
            out = np.zeros((rows, columns), np.float32)
            for row in range(0, rows, 4):
                for column in range(0, columns, 4):
                    point = fixed.TransformIndexToPhysicalPoint([column, row, 0])
                    out[row, column] = interpolator.Evaluate(point)
            found.append(out[::4, ::4])
        np.save(sys.argv[2], np.stack(found))
        return
    optimizer = itk.PowellOptimizer.New()
    optimizer.SetMaximize(False)
    optimizer.SetMaximumIteration(10)
    optimizer.SetMaximumLineIteration(4)
    optimizer.SetStepLength(4.0)
    optimizer.SetStepTolerance(0.02)
    optimizer.SetValueTolerance(0.001)
    optimizer.SetScales([float(np.rad2deg(1.0))] * 3 + [1.0] * 3)
    method.SetMetric(metric)
    method.SetOptimizer(optimizer)
    method.SetTransform(transform)
    method.SetMovingImage(moving)
    method.SetInitialTransformParameters(transform.GetParameters())
    begun, busy = time.perf_counter(), time.process_time()
    method.Update()
    took, used = time.perf_counter() - begun, time.process_time() - busy
    last = method.GetLastTransformParameters()
    transform.SetParameters(last)
    print(
        json.dumps(
            {
                "seconds": took,
                "processor_s": used,
                "matrix": np.asarray(itk.array_from_matrix(transform.GetMatrix())).tolist(),
                "translation_mm": [float(value) for value in transform.GetTranslation()],
                "correlation": float(optimizer.GetValue()),
            }
        )
    )


if __name__ == "__main__":
    main()
