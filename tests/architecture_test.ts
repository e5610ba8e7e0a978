/** The order of the house: what may import what, how folders are filled, and what things are called. */

import assert from "node:assert/strict";
import { allFiles, circles, folderOf, loadedWith, readSources, ROOT } from "./_helpers/tree.ts";

const sources = await readSources();
const code = [...sources.values()].filter(({ path }) => !path.startsWith("tests/"));

/** Fails with one line for each entry. */
function none(what: string, found: Iterable<string>): void {
  const entries = [...new Set(found)].sort();
  assert.equal(entries.length, 0, `${what}:\n  ${entries.join("\n  ")}`);
}

/** Floors from the top down, the rooms of one floor side by side: they do not know each other. */
type Floors = readonly (readonly string[])[];

/** The arrows that lead up, or aside on one floor. A file that `roomOf` gives no room is a door. */
function wrongWays(
  floors: Floors,
  roomOf: (path: string) => string | null,
): void {
  const floorOf = new Map(floors.flatMap((rooms, floor) => rooms.map((room) => [room, floor])));
  const found: string[] = [];
  for (const { path, imports, references } of code) {
    const from = roomOf(path);
    if (from === null) continue;
    for (const target of new Set([...imports, ...references])) {
      const to = roomOf(target);
      if (to === null || to === from) continue;
      assert.ok(floorOf.has(from), `${path}: no floor is known for ${from}`);
      assert.ok(floorOf.has(to), `${target}: no floor is known for ${to}`);
      if (floorOf.get(from)! >= floorOf.get(to)!) found.push(`${path} → ${target}`);
    }
  }
  none("imports lead down only", found);
}

Deno.test("imports run one way: tasks → optimizers → models → runtime", () => {
  const floors = [["tasks"], ["optimizers"], ["models"], ["runtime"], ["deps.ts"]];
  wrongWays(floors, (path) => path.includes("/") || path === "deps.ts" ? path.split("/")[0] : null);
  none(
    "mod.ts is for users, not for the house itself",
    [...code].flatMap(({ path, imports }) => imports.has("mod.ts") ? [path] : []),
  );
});

/** A folder's name inside `top`, a file's own name if it lies there flat, null for doors and the rest. */
function roomIn(top: string): (path: string) => string | null {
  return (path) => {
    const [first, room] = path.split("/");
    return first !== top || !path.endsWith(".ts") || room === "mod.ts" ? null : room;
  };
}

Deno.test("the folders of runtime/ stand in an order", () => {
  wrongWays(
    [
      ["launcher"],
      ["agents"],
      ["ranks"],
      ["bootstrap"],
      ["once_per_host.ts"],
      ["communicator.ts"],
      ["failures"],
      ["collectives"],
      ["algorithms"],
      ["engine"],
      ["shared_memory", "rendezvous"],
      ["security", "mpi"],
      ["transport", "reduction", "compression", "agreement"],
      ["base", "devices"],
    ],
    roomIn("runtime"),
  );
});

Deno.test("runtime/devices/ and the rest of runtime/ know nothing of each other", () => {
  const isDevice = (path: string) => path.startsWith("runtime/devices/");
  const found: string[] = [];
  for (const { path, imports } of code) {
    if (!path.startsWith("runtime/") || path === "runtime/mod.ts") continue;
    for (const target of imports) {
      if (target.startsWith("runtime/") && isDevice(path) !== isDevice(target)) {
        found.push(`${path} → ${target}`);
      }
    }
  }
  none("arrows", found);
});

Deno.test("the folders of tasks/ stand in an order", () => {
  wrongWays(
    [
      ["cli"],
      ["reproduce"],
      ["sweep", "plan", "report", "runs", "generation", "export.ts"],
      ["launch"],
      ["training"],
      ["problems"],
      ["steps"],
      ["rounds"],
      ["run"],
      ["networks"],
      ["options"],
      ["tensorboard", "trace"],
      ["data", "logs"],
      ["terminal"],
      ["task.ts"],
    ],
    roomIn("tasks"),
  );
});

Deno.test("no circle of modules carries a value", () => {
  const found = circles(sources.keys(), (path) => sources.get(path)?.values ?? []);
  none("circles", found.map((files) => files.join(", ")));
});

Deno.test("what begins with _ is imported from its own folder and those below it alone", () => {
  const found: string[] = [];
  for (const { path, imports, references } of sources.values()) {
    // The tests of a folder may see what the folder itself sees.
    const mirrored = path.replace(/^tests\//, "");
    for (const target of [...imports, ...references]) {
      const folder = /^((?:[^_/][^/]*\/)*)_/.exec(target)?.[1];
      if (folder !== undefined && !path.startsWith(folder) && !mirrored.startsWith(folder)) {
        found.push(`${path} → ${target}`);
      }
    }
  }
  none("private files", found);
});

Deno.test("what is started or read by its path is there", () => {
  const found: string[] = [];
  for (const { path, references } of sources.values()) {
    for (const target of references) {
      try {
        Deno.statSync(new URL(target, ROOT));
      } catch {
        found.push(`${path} → ${target}`);
      }
    }
  }
  none("paths that lead nowhere", found);
});

Deno.test("what a rank loads to join a job has no package in it", async () => {
  const loaded = await loadedWith("runtime/bootstrap/init.ts");
  none("packages", loaded.filter((path) => path === "deps.ts"));
});

/** Folders whose code also runs in the simulated world, see `runtime/base/platform.ts`. */
const SIMULATED =
  /^(runtime\/(agreement|algorithms|base|bootstrap|collectives|engine|failures|rendezvous|security|transport)|tasks\/(rounds|run|training\/membership))\//;

/** Files of them that stay outside, each with its reason. */
const REAL: Record<string, string> = {
  "runtime/base/descriptors.ts": "what the system allows this process",
  "runtime/base/platform.ts": "the platform that is Deno",
  "runtime/bootstrap/environment.ts": "what a process was started with",
  "runtime/bootstrap/init.ts": "one process, its events and its end",
  "runtime/bootstrap/task_runner.ts": "the process that has started this one",
  "runtime/security/certificate.ts": "TLS",
  "tasks/run/lock.ts": "locks between processes",
  "tasks/run/source_commit.ts": "the checkout",
};

Deno.test("what is simulated asks nobody but the platform for time, chance, connections and files", () => {
  const direct = new RegExp(
    String.raw`\bDeno\.(connect|listen|l?stat|mkdir|open|read(Dir|File|TextFile)|remove|rename|` +
      String
        .raw`write(File|TextFile)|exit)(Sync)?\(|\bperformance\.|\bMath\.random\b|\bDate\.now\b|` +
      String
        .raw`(?<![.\w])(set|clear)(Timeout|Interval|Immediate)\(|(?<![.\w])crypto\.(subtle|getRandomValues)`,
  );
  const found: string[] = [];
  for (const { path, text } of code) {
    if (!SIMULATED.test(path) || path in REAL) continue;
    for (const [i, line] of text.split("\n").entries()) {
      if (!/^\s*(\*|\/\*|\/\/)/.test(line) && direct.test(line)) {
        found.push(`${path}:${i + 1}:${line}`);
      }
    }
  }
  none("lines", found);
});

Deno.test("no test changes the environment or the directory that all test files have in common", () => {
  const seen = new Set<string>(), found: string[] = [];
  const visit = (path: string) => {
    const source = sources.get(path);
    if (source === undefined || !path.startsWith("tests/") || seen.has(path)) return;
    seen.add(path);
    for (const [i, line] of source.text.split("\n").entries()) {
      if (/\bDeno\.(env\.(set|delete)|chdir|umask)\(/.test(line)) {
        found.push(`${path}:${i + 1}:${line}`);
      }
    }
    source.imports.forEach(visit);
  };
  for (const path of sources.keys()) if (path.endsWith("_test.ts")) visit(path);
  // It says that there is no window system, which is so for all.
  none("lines", found.filter((line) => !line.startsWith("tests/_helpers/web_gpu.ts:")));
});

Deno.test("deps.ts alone names outside packages", () => {
  none(
    "specifiers",
    [...sources.values()].filter(({ path }) => path !== "deps.ts")
      .flatMap(({ path, outside }) => outside.map((specifier) => `${path} → ${specifier}`)),
  );
});

/** The paths that the README's tree names; those of folders end with a slash. */
function namedInReadme(): string[] {
  const readme = Deno.readTextFileSync(new URL("README.md", ROOT));
  const section = readme.slice(readme.indexOf("\n## The tree\n"));
  const block = section.split("\n").filter((line) => /^ {4} *\S/.test(line));
  const end = block.findIndex((line) => line.startsWith("    deno "));
  const folders: string[] = [];
  return block.slice(0, end === -1 ? undefined : end).map((line) => {
    const [, indent, name] = /^ {4}( *)(\S+)/.exec(line)!, depth = indent.length / 2;
    folders.length = depth;
    const path = folders.join("") + name;
    folders.push(name);
    return path;
  });
}

Deno.test("every file and folder that the README's tree names is there, and every folder is named", () => {
  const named = namedInReadme(), files = allFiles();
  assert.ok(named.length > 40, `${named.length} names were read`);
  const folders = new Set<string>();
  for (let folder of files.map(folderOf)) {
    for (; folder !== ""; folder = folderOf(folder)) folders.add(folder);
  }
  none(
    "in the README and nowhere else",
    named.filter((path) =>
      !path.startsWith(".") && !(path.endsWith("/") ? folders.has(path) : files.includes(path))
    ),
  );
  // The folders of tests mirror the others or have a name, with room for programs and cases in them.
  const mirrored = (folder: string) => {
    const [top, ...rest] = folder.split("/");
    const first = `${rest[0]}/`;
    return top === "tests" && (named.includes(first) || named.includes(`tests/${first}`));
  };
  none(
    "not in the README's tree",
    [...folders].filter((folder) => !named.includes(folder) && !mirrored(folder)),
  );
});

/** Folders that grow by a record or a figure now and then, and are read by their index. */
const RECORDS = ["docs/decisions/", "docs/results/"];

Deno.test("no folder holds more than 16 files", () => {
  const counts = new Map<string, number>();
  for (const path of allFiles()) counts.set(folderOf(path), (counts.get(folderOf(path)) ?? 0) + 1);
  none(
    "folders",
    [...counts].flatMap(([folder, n]) =>
      n > 16 && !RECORDS.includes(folder) ? [`${folder}: ${n} files`] : []
    ),
  );
});

Deno.test("no file has more than 450 lines", () => {
  none(
    "files",
    [...sources.values()].flatMap(({ path, text }) => {
      const lines = text.split("\n").length - 1;
      return lines > 450 ? [`${path}: ${lines} lines`] : [];
    }),
  );
});

Deno.test("runtime/mod.ts loads no trainer", async () => {
  const loaded = await loadedWith("runtime/mod.ts");
  none("loaded", loaded.filter((path) => !path.startsWith("runtime/") && path !== "deps.ts"));
  assert.ok(loaded.length < 210, `${loaded.length} modules`);
});

/** Words that had another word beside them for the same thing, and the one that stayed. */
const GONE: Record<string, string> = {
  "find place": "readEnvironment",
  "foreign place": "LauncherEnvironment",
  "starter": "launcher",
  "landing": "destination",
  "board": "arena",
  "are near": "sharesMemory",
  "distrust": "disable",
  "meeting file": "rendezvous file",
  "meeting note": "RendezvousRecord",
  "wave": "tree exchange",
  "waves": "tree exchanges",
  "lane": "chunk",
  "open doors": "openListeners",
  "greet": "initiate",
  "find culprit": "findRootCause",
  "culprit": "root cause",
  "rank facts": "RankStatus",
  "stepper": "TrainStep",
  "steppers": "TrainSteps",
  "scoreboard": "evaluations",
  "recall": "load",
  "carried files": "input files",
  "surroundings": "ExecutionOptions",
  "unheeded": "ignored",
  "heeded": "taken",
  "heeds": "takes",
  "heed": "take",
  "mendable": "asOptionError",
  "timed loop": "a loop with a clock for rounds",
};

/** Names that files no longer have. */
const FORMER = (
  "place scheduler board neighbours control gate verdict meeting_file wire outer underway tally scoreboard " +
  "stepper exchange telemetry timed_telemetry timed_loop carried_files heeded sharing open_job text_task " +
  "language_network network_file model_file"
).split(" ");

Deno.test("no word of the former vocabulary comes back", () => {
  // Names are told apart into their words, so that camel case and underscores hide none.
  const words = new RegExp(`\\b(${Object.keys(GONE).join("|")})\\b`, "g");
  const found: string[] = [];
  for (const path of allFiles()) {
    if (!/\.(ts|js|md)$/.test(path) || /^CHANGELOG|RESULTS|architecture_test/.test(path)) {
      continue;
    }
    const text = Deno.readTextFileSync(new URL(path, ROOT));
    for (const [i, line] of text.split("\n").entries()) {
      const plain = line.replaceAll("TensorBoard", "") // a product's name
        .replaceAll(/([a-z0-9])([A-Z])/g, "$1 $2").replaceAll("_", " ").toLowerCase();
      for (const [word] of plain.matchAll(words)) {
        found.push(`${path}:${i + 1}: ${word} (${GONE[word]})`);
      }
    }
  }
  none("words", found);
  none(
    "files",
    code.map(({ path }) => path).filter((path) => FORMER.includes(/_?([^/]*)\.ts$/.exec(path)![1])),
  );
});
