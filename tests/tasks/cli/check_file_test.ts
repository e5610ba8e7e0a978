import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { create, fromBinary, onnx, toBinary } from "../../../deps.ts";
import { encodeModel, Graph } from "../../../models/mod.ts";
import { checkFile } from "../../../tasks/cli/check_file.ts";
import { readModelFile } from "../../../tasks/networks/onnx_model.ts";
import { OptionError } from "../../../tasks/options/kinds.ts";
import { celgc } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

/** A small network as a file; `change` puts into it what the builder does not. */
function networkFile(change: (model: onnx.ModelProto) => void = () => {}): Uint8Array {
  const g = new Graph();
  const images = g.input("images", "float32", [1, 3, 32, 32]);
  const weight = g.input("conv.weight", "float32", [4, 3, 3, 3]);
  const bias = g.input("conv.bias", "float32", [4]);
  const y = g.relu(g.op("Conv", [images, weight, bias], { pads: [1, 1, 1, 1] }));
  const features = g.op("Flatten", [g.op("GlobalAveragePool", [y])], { axis: 1 });
  g.output("scores", g.matmul(features, g.input("fc.weight", "float32", [4, 10])));
  const sizes = { "conv.weight": 108, "conv.bias": 4, "fc.weight": 40 };
  const initializers = Object.fromEntries(
    Object.entries(sizes).map(([name, size]) => [name, new Float32Array(size).fill(0.1)]),
  );
  const model = fromBinary(onnx.ModelProtoSchema, encodeModel(g, { initializers }));
  change(model);
  return toBinary(onnx.ModelProtoSchema, model);
}

const GOOD = networkFile();

/** The same with a tensor of 108 floats in another file, from byte 8 on. */
const outside = (location: string, offset = "8") =>
  networkFile(({ graph }) => {
    const tensor = graph!.initializer[0], place = { location, offset, length: "432" };
    tensor.dataLocation = onnx.TensorProto_DataLocation.EXTERNAL;
    tensor.rawData = new Uint8Array(0);
    tensor.externalData = Object.entries(place).map(([key, value]) =>
      create(onnx.StringStringEntryProtoSchema, { key, value })
    );
  });
const UNKNOWN = networkFile(({ graph }) => graph!.node[1].opType = "Frobnicate");

Deno.test("export --check reports on a file by path and by URL, and its exit code says the verdict", async () => {
  await using folder = await temporaryFolder();
  const path = (name: string) => `${folder.path}/${name}`;
  await Deno.writeFile(path("good.onnx"), GOOD);
  const text = await celgc("export", "--check", path("good.onnx"));
  assert.equal(text.code, 0, text.stderr);
  assert.match(
    text.stdout,
    /^opset 17, written by celgc\ninputs images float32 \[1, 3, 32, 32\]; /,
  );
  assert.match(text.stdout, /\nConv +1 {2}yes {7}yes\n/);
  assert.match(text.stdout, /\n152 numbers can be trained\n/);
  assert.match(text.stdout, /note: .* its exporter folded it away/);

  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) =>
      request.url.endsWith("/bad")
        ? new Response(new Uint8Array(UNKNOWN))
        : new Response(null, { status: 404 }),
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  const json = await celgc("export", "--check", `${url}/bad`, "--json");
  assert.equal(json.code, 1, json.stderr);
  const report = JSON.parse(json.stdout);
  assert.equal(report.trainable, false);
  assert.deepEqual(report.operators.filter(({ known }: { known: boolean }) => !known), [
    { op: "Frobnicate", count: 1, known: false, gradient: false, webgpu: false },
  ]);
  assert.match(report.problems[0], /Frobnicate is not known/);
  const missing = await celgc("export", "--check", `${url}/none`);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /^celgc: --check http.* cannot be read: the server answered 404/);
  assert.equal(missing.stderr.trim().split("\n").length, 1);
  const idle = await celgc("export", "--check", path("good.onnx"), "--out", path("there.onnx"));
  assert.equal(idle.code, 2);
  assert.match(idle.stderr, /^celgc: --check writes nothing, so --out has no effect/);
});

Deno.test("a file that cannot be read is refused in one line that says why", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/file.onnx`;
  const refuse = async (file: Uint8Array, pattern: RegExp) => {
    await Deno.writeFile(path, file);
    await assert.rejects(
      checkFile(path, { loss: null, dims: null, json: false }),
      (error: Error) => {
        assert(error instanceof OptionError, `${error}`);
        assert(error.message.startsWith(`--check ${path}`) && !error.message.includes("\n"));
        assert.match(error.message, pattern);
        return true;
      },
    );
  };
  await refuse(new TextEncoder().encode("# no model"), /not an ONNX model/);
  await refuse(new Uint8Array(0), /not an ONNX model/);
  // Inside the first initializer, which is most of the file and part of the one field of the graph.
  const { rawData } = fromBinary(onnx.ModelProtoSchema, GOOD).graph!.initializer[0];
  const start = Buffer.from(GOOD).indexOf(rawData);
  assert(start > 0 && rawData.length === 432);
  for (let length = start + 1; length < start + 432; length += 43) {
    await refuse(GOOD.subarray(0, length), /not an ONNX model/);
  }
  await refuse(networkFile((m) => m.opsetImport[0].version = 6n), /opset 6; 9 is the oldest/);
  await refuse(outside("none.bin"), /keeps weights in .*none\.bin cannot be read: /);
  await refuse(
    outside("../good.bin"),
    /"\.\.\/good\.bin", which is no path inside the model's folder/,
  );
  await refuse(outside("/etc/hostname"), /no path inside the model's folder/);
  await Deno.writeFile(`${folder.path}/short.bin`, new Uint8Array(11));
  for (const offset of ["much", "-8", "1.5", "", "9".repeat(17)]) {
    await refuse(outside("short.bin", offset), /has the offset ".*" in short\.bin; it must be/);
  }
  await refuse(outside("short.bin"), /lie at 8 to 440 of short\.bin, which has 11 bytes/);
  const halves = networkFile(({ graph }) =>
    graph!.initializer[0].dataType = onnx.TensorProto_DataType.FLOAT16
  );
  await refuse(halves, /FLOAT16.*export the model in float32/);
});

Deno.test("weights in a file beside the network's are found, by path and by URL", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/file.onnx`, weights = new Float32Array(110).fill(0.1);
  await Deno.writeFile(path, outside("net.onnx.data"));
  await Deno.writeFile(`${folder.path}/net.onnx.data`, new Uint8Array(weights.buffer));
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) =>
      new Response(await Deno.readFile(folder.path + new URL(request.url).pathname)),
  );
  for (const location of [path, `http://127.0.0.1:${server.addr.port}/file.onnx`]) {
    const file = await readModelFile(location, "--model");
    const tensorsOf = (bytes: Uint8Array) =>
      fromBinary(onnx.ModelProtoSchema, bytes).graph!.initializer.map(({ name, rawData }) =>
        [name, rawData.length, rawData.toHex()] as const
      );
    assert.deepEqual(tensorsOf(file), tensorsOf(GOOD));
  }
});

Deno.test("a model's weights are not taken from outside its folder, nor from what is no file", async () => {
  await using folder = await temporaryFolder();
  const path = (name: string) => `${folder.path}/${name}`;
  for (const name of ["models", "blobs"]) await Deno.mkdir(path(name));
  const data = new Uint8Array(440);
  await Deno.writeFile(path("secret.bin"), data);
  await Deno.writeFile(path("models/net.onnx"), outside("weights.bin"));
  await Deno.symlink(path("secret.bin"), path("models/weights.bin"));
  await assert.rejects(
    readModelFile(path("models/net.onnx"), "--model"),
    /weights\.bin, a link out of the model's folder to .*secret\.bin/,
  );
  // A cache that keeps all files under other names, side by side, is no way out.
  await Deno.writeFile(path("blobs/1"), outside("weights.bin"));
  await Deno.writeFile(path("blobs/2"), data);
  await Deno.symlink(path("blobs/1"), path("models/linked.onnx"));
  await Deno.remove(path("models/weights.bin"));
  await Deno.symlink(path("blobs/2"), path("models/weights.bin"));
  assert((await readModelFile(path("models/linked.onnx"), "--model")).length > 432);
  for (const odd of ["/dev/null", folder.path]) {
    await assert.rejects(readModelFile(odd, "--model"), /is no regular file/);
  }
  if (Deno.build.os !== "windows") {
    await new Deno.Command("mkfifo", { args: [path("pipe.onnx")] }).output();
    await assert.rejects(readModelFile(path("pipe.onnx"), "--model"), /is no regular file/);
  }
});

Deno.test("tensors outside are found in attributes and branches too", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/net.onnx`;
  await Deno.writeFile(
    path,
    networkFile(({ graph }) => {
      // Weights in a node, and its bytes beside the file.
      const tensor = graph!.initializer.shift()!;
      const place = { location: "node.bin", offset: "0", length: "432" };
      tensor.dataLocation = onnx.TensorProto_DataLocation.EXTERNAL;
      tensor.rawData = new Uint8Array(0);
      tensor.externalData = Object.entries(place).map(([key, value]) =>
        create(onnx.StringStringEntryProtoSchema, { key, value })
      );
      graph!.node.push(create(onnx.NodeProtoSchema, {
        opType: "Constant",
        output: [tensor.name],
        attribute: [{ name: "value", type: onnx.AttributeProto_AttributeType.TENSOR, t: tensor }],
      }));
    }),
  );
  await Deno.writeFile(`${folder.path}/node.bin`, new Uint8Array(432));
  const { code, stdout } = await celgc("export", "--check", path);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /\n152 numbers can be trained\n/);
});
