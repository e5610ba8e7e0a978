import assert from "node:assert/strict";
import { DataError } from "../../../../tasks/data/data_error.ts";
import { arrayFiles } from "../../../../tasks/data/arrays/array_source.ts";
import { type ArrayOptions, loadArrays } from "../../../../tasks/data/arrays/load_arrays.ts";
import type { NetworkInput } from "../../../../tasks/data/arrays/choose.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";
import { encodeNpy, encodeNpz, floats, wholes } from "../../npy.ts";

const PLAIN: ArrayOptions = {
  inputs: null,
  target: null,
  loss: null,
  standardise: "none",
  testFraction: 0.25,
};

/** Reads files that are written into a folder: one by its name, several as the folder. */
async function load(
  files: Readonly<Record<string, Uint8Array | string>>,
  options: Partial<ArrayOptions> = {},
  network: readonly NetworkInput[] | null = null,
) {
  await using folder = await temporaryFolder();
  const names = Object.keys(files);
  for (const [name, content] of Object.entries(files)) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(`${folder.path}/${name}`, bytes);
  }
  const place = names.length === 1 ? `${folder.path}/${names[0]}` : folder.path;
  return await loadArrays(place, { ...PLAIN, ...options }, network);
}

async function refuse(loading: Promise<unknown>, pattern: RegExp) {
  await assert.rejects(loading, (error: Error) => {
    assert(error instanceof DataError, `${error}`);
    assert.match(error.message, pattern);
    return !error.message.includes("\n");
  });
}

const count = (n: number) => Array.from({ length: n }, (_, i) => i);

Deno.test("samples keep to their targets, each is in one split, and the division is no seed's", async () => {
  const files = { "x.npy": floats([8, 2], count(16)), "y.npy": wholes([8], count(8)) };
  const { train, test } = await load(files);
  assert.deepEqual([train.count, test.count], [6, 2]);
  const seen: number[] = [];
  for (const { count: samples, inputs: [{ data, dims }], target } of [train, test]) {
    assert.deepEqual(dims, [2]);
    assert(target.kind === "classes");
    for (const i of count(samples)) {
      const label: number = Number(target.classes[target.labels[i]]);
      assert.deepEqual([...data.subarray(2 * i, 2 * i + 2)], [2 * label, 2 * label + 1]);
      seen.push(label);
    }
  }
  assert.deepEqual(seen.toSorted(), count(8));
  assert.deepEqual(await load(files), {
    train,
    test,
    description: (await load(files)).description,
  });
});

Deno.test("splits of their own are told by their names, in archives, folders and tables", async () => {
  const x = floats([2, 1], [1, 2]), y = wholes([2], [0, 1]);
  const names = [
    ["x_train", "y_train", "x_test", "y_test", "x_val", "y_val"],
    ["train_x", "train_y", "test_x", "test_y", "valid_x", "valid_y"],
  ];
  for (const each of names) {
    const arrays = Object.fromEntries(each.map((name, i) => [name, i % 2 === 0 ? x : y]));
    const { train, test, valid } = await load({ "a.npz": await encodeNpz(arrays) });
    assert.deepEqual([train.count, test.count, valid?.count], [2, 2, 2]);
  }
  const table = "a,y\n1,0\n2,1\n";
  const { train, test, valid } = await load({
    "train.csv": table,
    "test.csv": `${table}3,1\n`,
    "validation.csv": "a,y\n1,1\n",
  });
  assert.deepEqual([train.count, test.count, valid?.count], [2, 3, 1]);
  // A validation set alone takes the test set's place, as with images.
  const two = await load({ "train.csv": table, "val.csv": `${table}3,1\n` });
  assert.deepEqual([two.test.count, two.valid], [3, undefined]);
});

Deno.test("inputs are standardised by the training samples alone, each column and each channel", async () => {
  const table = (rows: number[][]) => ["a,b,y", ...rows.map((row) => row.join())].join("\n");
  const { train, test, description } = await load({
    "train.csv": table([[1, 5, 0], [3, 5, 1]]),
    "test.csv": table([[5, 6, 0], [2, 5, 1]]),
  }, { standardise: "inputs" });
  assert.deepEqual([...train.inputs[0].data].toSorted((a, b) => a - b), [-1, 0, 0, 1]);
  assert.deepEqual([...test.inputs[0].data].toSorted((a, b) => a - b), [0, 0, 1, 3]);
  const [{ from, mean, std }] = JSON.parse(description).inputs;
  assert.deepEqual({ from, mean, std }, { from: ["a", "b"], mean: [2, 5], std: [1, 1] });
  const images = await load({
    "x.npy": floats([4, 2, 1, 2], [...count(4), ...count(4), ...count(4), ...count(4)]),
    "y.npy": wholes([4], [0, 1, 0, 1]),
  }, { standardise: "inputs" });
  assert.deepEqual([...images.test.inputs[0].data], [-1, 1, -1, 1]);
});

Deno.test("amounts are standardised where that is asked for, and keep their unit", async () => {
  const table = "a,y\n1,10\n2,30\n";
  const files = { "train.csv": table, "test.csv": table };
  const plain = await load(files, { loss: "mse" });
  const scaled = await load(files, { loss: "mse", standardise: "all" });
  assert(plain.train.target.kind === "amounts" && scaled.train.target.kind === "amounts");
  assert.deepEqual([...plain.train.target.data].toSorted(), [10, 30]);
  assert.deepEqual([...scaled.train.target.data].toSorted((a, b) => a - b), [-1, 1]);
  assert.deepEqual([plain.train.target.unit, plain.train.target.variance], [1, 100]);
  assert.deepEqual([scaled.train.target.unit, scaled.train.target.variance], [10, 1]);
  const both = await load({ "t.csv": "a,u,v\n1,1.5,2\n2,2,3\n3,3,4\n4,1,2\n" }, { target: "v,u" });
  assert.deepEqual(both.train.target.dims, [2]);
});

Deno.test("what is predicted is classes or amounts by its kind, or by the loss", async () => {
  const kind = async (values: readonly (string | number)[], loss: string | null = null) => {
    const rows = values.map((value, i) => `${i},${value}`).join("\n");
    const { target } = (await load({ "t.csv": `a,y\n${rows}\n` }, { loss })).train;
    return target.kind === "classes" ? target.classes.join() : target.kind;
  };
  assert.equal(await kind(["eel", "cat", "eel", "dog"]), "cat,dog,eel");
  assert.equal(await kind(["True", "False", "True", "False"]), "false,true");
  assert.equal(await kind([3, 8, 3, 5]), "3,5,8");
  assert.equal(await kind([0, 3, 0, 1]), "0,1,2,3");
  assert.equal(await kind([-1, 1, 1, -1]), "-1,1");
  assert.equal(await kind([0.5, 1, 2, 3]), "amounts");
  assert.equal(await kind([0, 1, 2, 3], "mse"), "amounts");
  assert.equal(await kind(count(150), "cross-entropy"), count(150).join());
  await refuse(
    kind(count(150)),
    /150 different whole numbers may be classes or amounts: say which/,
  );
  // One value that is badly written makes no classes of the others.
  const odd = ["1.5", "'1 200'", "2.5", "3.5", "0.5", "1", "2", "3"];
  await refuse(kind(odd), /most of it are numbers, but "'1 200'" is none: mend it, or take every/);
  assert.equal((await kind(odd, "cross-entropy")).split(",").length, 8);
  await refuse(kind(["a", "b", "a", "b"], "mae"), /it is texts, and --loss mae is for numbers/);
  await refuse(kind([0.5, 1, 2, 3], "cross-entropy"), /numbers with fractions/);
  await refuse(kind(["a", "a", "a", "a"]), /one class alone, "a"/);
  await refuse(kind([0, 2, 1, 0], "binary-cross-entropy"), /a target from 0 to 1, not 2/);
});

Deno.test("a network of several inputs is fed the arrays of their names, or those that are said", async () => {
  const network = [{ name: "ids", whole: true }, { name: "extra", whole: false }];
  const file = await encodeNpz({
    ids: wholes([4, 3], count(12)),
    extra: floats([4, 2], count(8)),
    label: wholes([4], [0, 1, 0, 1]),
  });
  const { train } = await load({ "a.npz": file }, {}, network);
  assert.deepEqual(train.inputs.map(({ name, dims }) => [name, dims]), [["ids", [3]], ["extra", [
    2,
  ]]]);
  assert(
    train.inputs[0].data instanceof Int32Array && train.inputs[1].data instanceof Float32Array,
  );
  const given = await load({ "a.npz": file }, { inputs: "extra=ids,ids=ids" }, network);
  assert.deepEqual(given.train.inputs.map(({ dims }) => dims), [[3], [3]]);
  await refuse(
    load({ "a.npz": file }, { inputs: "mask=ids" }, network),
    /feeds "mask", which is none/,
  );
  await refuse(load({ "a.npz": file }), /say with --inputs which array is fed; .*"extra", "ids"/);
  const other = [{ name: "left", whole: false }, { name: "right", whole: false }];
  await refuse(
    load({ "a.npz": file }, {}, other),
    /the network takes "left", "right": give arrays/,
  );
  await refuse(
    load({ "t.csv": "a,y\n1,2\n" }, {}, other),
    /a table feeds one input, and the network/,
  );
  const fractions = await encodeNpz({ ids: floats([2, 1], [1, 0.5]), y: wholes([2], [0, 1]) });
  const ids = [{ name: "ids", whole: true }];
  await refuse(
    load({ "a.npz": fractions }, {}, ids),
    /takes whole numbers of 32 bits from "ids", .* 0\.5/,
  );
});

Deno.test("what does not fit is said with both shapes, what is missing with its place", async () => {
  const y = wholes([3], [0, 1, 0]);
  const pair = (x: Uint8Array, more = {}) => load({ "x.npy": x, "y.npy": y, ...more });
  await refuse(pair(floats([4, 2], count(8))), /"x" is \(4, 2\), and the target "y" \(3,\)/);
  await refuse(pair(floats([3, 2], [1, 2, 3, NaN, 5, 6])), /"x" at \[1, 1\] is NaN/);
  await refuse(
    pair(floats([3, 2], count(6)), { "x_test.npy": floats([3, 5], count(15)), "y_test.npy": y }),
    /a sample to train with is \(2,\), and one of .* \(5,\)/,
  );
  await refuse(
    pair(floats([3], count(3)), { "x_test.npy": floats([3], count(3)) }),
    /"y" is missing/,
  );
  await refuse(
    pair(floats([3], count(3)), {
      "x_test.npy": floats([3], count(3)),
      "y_test.npy": wholes([3], [0, 1, 7]),
    }),
    /of the test data is of the class "7", of which the training data has none/,
  );
  await refuse(pair(encodeNpy("<U1", [3], new Uint8Array(12).fill(0))), /"x" is texts/);
  await refuse(
    load({ "x.npy": floats([1, 2], [1, 2]), "y.npy": wholes([1], [1]) }),
    /of 1 sample of .* none are left to learn from/,
  );
});

Deno.test("what is no data set of arrays is refused with what there is", async () => {
  const x = floats([2, 2], count(4));
  await refuse(load({ "a.csv": "a,y\n1,2\n", "x.npy": x }), /is required; .* has a\.csv, x\.npy/);
  await refuse(load({ "a.txt": "1", "b.txt": "2" }), /found none in/);
  await refuse(load({ "a.csv": "a,y\n1,2\n", "b.csv": "a,y\n1,2\n" }), /one is called train\.csv/);
  await refuse(load({ "x.npy": floats([2], [1, 2]) }), /alone must be a table of numbers.*\(2,\)/);
  await refuse(load({ "a.npz": new Uint8Array(9) }), /cannot be unpacked/);
  await refuse(
    load({ "x.npy": x, "y.npy": new Uint8Array(9) }),
    /array .*y\.npy: it does not begin/,
  );
  await refuse(load({ "a.npz": await encodeNpz({ x_test: x }) }), /is required; .*x_test\.npy/);
  await refuse(
    loadArrays("nowhere", PLAIN, null),
    /cannot read the arrays: nowhere does not exist/,
  );
  const alone = await load({ "t.npy": x }, { target: "1", loss: "mse" });
  assert.deepEqual(alone.train.inputs[0].dims, [1]);
  await using folder = await temporaryFolder();
  await Deno.writeFile(`${folder.path}/a.npz`, await encodeNpz({ x, y: wholes([2], [0, 1]) }));
  const { set, names } = await arrayFiles(folder.path);
  assert.deepEqual(names.map((name) => set.pathOf(name)), [`${folder.path}/a.npz`]);
});

Deno.test("a set that is held out has samples, and targets as those to train with", async () => {
  const x = floats([2, 1], [1, 2]), train = { x_train: x, y_train: floats([2], [1, 2.5]) };
  const refused = async (test: Parameters<typeof encodeNpz>[0], pattern: RegExp) =>
    await refuse(load({ "a.npz": await encodeNpz({ ...train, ...test }) }), pattern);
  await refused({ x_test: x, y_test: floats([2, 2], [1, 2, 3, 4]) }, /"y".* is \(\), .*\(2,\)/);
  await refused({ x_test: floats([0, 1], []), y_test: floats([0], []) }, /has no samples/);
  const tables = { "train.csv": "a,y\n1,1\n2,2.5\n", "test.csv": 'a,y\n1,1\n2,"1,200"\n' };
  await refuse(load(tables), /"y" is numbers .* texts .* "1,200"/);
  await load({ ...tables, "test.csv": "a,y\n1,1\n" });
});
