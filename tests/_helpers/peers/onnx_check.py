"""ONNX's own checker, with strict shape inference, over the files that are named; prints what it refuses."""

import sys

import onnx
from onnx import checker, shape_inference

for path in sys.argv[1:]:
    try:
        model = onnx.load(path)
        checker.check_model(model, full_check=True)
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:
        print(path, str(error).replace("\n", " "))
