"""The cone-beam toolkit RTK behind JSON lines, in a process of its own.

Its libraries keep threads and static objects of their own, with which the interpreter that runs the tests does not end
well. One line in: nine parameters, or source, receptor origin and two axes. One line out: what RTK made of them.
"""

from __future__ import annotations

import json
import sys
import warnings


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wrapper's own
        import itk
        from itk import RTK

        geometry = RTK.ThreeDCircularProjectionGeometry.New()
    point, vector = itk.Point[itk.D, 3], itk.Vector[itk.D, 3]
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        given = json.loads(line)
        if len(given) == 9:
            geometry.AddProjection(*given)
        else:
            source, receptor, x, y = given
            assert geometry.AddProjection(point(source), point(receptor), vector(x), vector(y))
        index = len(geometry.GetGantryAngles()) - 1
        position = geometry.GetSourcePosition(index)
        answer = {
            "matrix": itk.array_from_matrix(geometry.GetMatrix(index)).tolist(),
            "source_mm": [position[element] for element in range(3)],
            "distances": [
                geometry.GetSourceToIsocenterDistances()[index],
                geometry.GetSourceToDetectorDistances()[index],
            ],
            "angles_rad": [
                geometry.GetGantryAngles()[index],
                geometry.GetOutOfPlaneAngles()[index],
                geometry.GetInPlaneAngles()[index],
            ],
            "offsets": [
                geometry.GetProjectionOffsetsX()[index],
                geometry.GetProjectionOffsetsY()[index],
                geometry.GetSourceOffsetsX()[index],
                geometry.GetSourceOffsetsY()[index],
            ],
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
