"""A finished run's files as others' tools read them.

Arguments: onnx or safetensors, and the file. Prints JSON: for each tensor its shape and the SHA-256 of its bytes as
little-endian float32; of an ONNX file, which its own checker has passed, also the inputs and outputs.
"""

import hashlib
import json
import sys

tool, path = sys.argv[1:]


def digest(array):
    return {"shape": list(array.shape), "sha256": hashlib.sha256(array.astype("<f4").tobytes()).hexdigest()}


if tool == "onnx":
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    arrays = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    print(json.dumps({
        "tensors": {name: digest(array) for name, array in arrays.items() if array.dtype == "float32"},
        "inputs": [each.name for each in model.graph.input],
        "outputs": [each.name for each in model.graph.output],
    }))
else:
    from safetensors.numpy import load_file

    print(json.dumps({"tensors": {name: digest(array) for name, array in load_file(path).items()}}))
