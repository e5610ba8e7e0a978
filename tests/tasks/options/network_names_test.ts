import assert from "node:assert/strict";
import { resolveOptions } from "../../../tasks/options/resolve.ts";

Deno.test("a file of another kind is no model's name, and the message says how to make it one", () => {
  const refused = (name: string) => {
    try {
      resolveOptions({ model: name as never });
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.match(refused("net.pt"), /\.onnx file \(from a \.pt file: .*torch\.onnx\.export/);
  assert.match(refused("net.h5"), /tf2onnx/);
  assert.match(refused("net.safetensors"), /--weights/);
});

Deno.test("a loss that is spelled nearly right is named", () => {
  assert.throws(
    () => resolveOptions({ loss: "cross-entopy" }),
    /"cross-entopy" \(did you mean cross-entropy\?\)/,
  );
});
