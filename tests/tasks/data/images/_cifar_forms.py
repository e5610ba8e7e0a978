"""Writes images in the authors' forms: the binary records in argv[1] and argv[2] become argv[3], and archives.

Pickles of protocol 2 as Python 2 wrote them (strings, not bytes), and as Python 3 writes them.
"""

import os, pickle, struct, sys, tarfile, zipfile
import numpy as np

train, test, out, kind = sys.argv[1:]
head = 2 if kind == "cifar100" else 1


def split(path):
    records = np.fromfile(path, np.uint8).reshape(-1, head + 3072)
    return [int(label) for label in records[:, head - 1]], np.ascontiguousarray(records[:, head:])


def string(data):  # Python 2's BINSTRING, which no Python 3 writes
    return b"T" + struct.pack("<i", len(data)) + data


def number(value):
    return b"J" + struct.pack("<i", value)


def python2(labels, key, data):
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + string(b"b") + b"\x87R"
        + b"(" + number(1) + number(data.shape[0]) + number(3072) + b"\x86"
        + b"cnumpy\ndtype\n" + string(b"u1") + number(0) + number(1) + b"\x87R"
        + b"(" + number(3) + string(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
        + b"\x89" + string(data.tobytes()) + b"tb"
    )
    items = b"".join(number(label) for label in labels)
    return b"\x80\x02}(" + string(key.encode()) + b"](" + items + b"e" + string(b"data") + array + b"u."


def write(folder, files):
    os.makedirs(folder)
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)


names = (["data_batch_1", "test_batch"], "labels") if kind == "cifar10" else (["train", "test"], "fine_labels")
inner = "cifar-10-batches-py" if kind == "cifar10" else "cifar-100-python"
splits = [split(train), split(test)]
for version, dump in {
    "python2": python2,
    **{
        f"python3-{protocol}": lambda labels, key, data, protocol=protocol: pickle.dumps(
            {key.encode() if protocol == 4 else key: labels, "data": data}, protocol
        )
        for protocol in (2, 4, 5)
    },
}.items():
    files = {name: dump(labels, names[1], data) for name, (labels, data) in zip(names[0], splits)}
    folder = os.path.join(out, version)
    write(os.path.join(folder, inner), files)
    with tarfile.open(os.path.join(out, f"{version}.tar.gz"), "w:gz") as archive:
        archive.add(os.path.join(folder, inner), inner)
    with zipfile.ZipFile(os.path.join(out, f"{version}.zip"), "w") as archive:
        for name in files:
            archive.write(os.path.join(folder, inner, name), f"{inner}/{name}")
