"""Reads a folder of event files as TensorBoard does: prints, by tag, the pairs of step and value as JSON.

The messages are decoded by Google's protobuf from the descriptors below, which are those of TensorBoard's
event.proto and summary.proto; where TensorBoard itself is installed its own reader must agree.
"""

import json
import math
import os
import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

F = descriptor_pb2.FieldDescriptorProto


def message(file, name, fields):
    proto = file.message_type.add(name=name)
    for field, number, kind, more in fields:
        proto.field.add(name=field, number=number, type=kind, label=more.get("label", F.LABEL_OPTIONAL),
                        type_name=more.get("type_name"))


file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="t", syntax="proto3")
message(file, "Value", [("tag", 1, F.TYPE_STRING, {}), ("simple_value", 2, F.TYPE_FLOAT, {})])
message(file, "Summary", [("value", 1, F.TYPE_MESSAGE, {"label": F.LABEL_REPEATED, "type_name": ".t.Value"})])
message(file, "SessionLog", [("status", 1, F.TYPE_INT32, {})])
message(file, "Event", [
    ("wall_time", 1, F.TYPE_DOUBLE, {}),
    ("step", 2, F.TYPE_INT64, {}),
    ("file_version", 3, F.TYPE_STRING, {}),
    ("summary", 5, F.TYPE_MESSAGE, {"type_name": ".t.Summary"}),
    ("session_log", 7, F.TYPE_MESSAGE, {"type_name": ".t.SessionLog"}),
])
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
Event = message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("t.Event"))


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(path):
    data = open(path, "rb").read()
    at = 0
    while at < len(data):
        (length, check) = struct.unpack_from("<QI", data, at)
        assert check == masked(data[at:at + 8]), "the length's checksum is wrong"
        body = data[at + 12:at + 12 + length]
        assert len(body) == length, "the record is torn"
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == masked(body), "the data's checksum is wrong"
        yield Event.FromString(body)
        at += 16 + length


folder = sys.argv[1]
values = {}
for name in sorted(os.listdir(folder)):
    assert "tfevents" in name, name
    for index, event in enumerate(records(os.path.join(folder, name))):
        assert event.wall_time > 1e9
        assert (event.file_version == "brain.Event:2") == (index == 0)
        if event.session_log.status == 1:
            values = {tag: [pair for pair in pairs if pair[0] < event.step] for tag, pairs in values.items()}
        for value in event.summary.value:
            values.setdefault(value.tag, []).append((event.step, value.simple_value))

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    EventAccumulator = None
if EventAccumulator:
    accumulator = EventAccumulator(folder, size_guidance={"scalars": 0})
    accumulator.Reload()
    same = lambda a, b: a == b or math.isnan(a) and math.isnan(b)
    for tag, pairs in values.items():
        theirs = [(event.step, event.value) for event in accumulator.Scalars(tag)]
        assert len(theirs) == len(pairs), tag
        assert all(s == t and same(v, w) for (s, v), (t, w) in zip(pairs, theirs)), tag

finite = lambda value: value if math.isfinite(value) else None
print(json.dumps({tag: [(step, finite(value)) for step, value in pairs] for tag, pairs in values.items()}))
