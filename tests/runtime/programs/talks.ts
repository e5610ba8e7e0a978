/** Prints lines of all kinds. */

const rank = Deno.env.get("CELGC_RANK");
const text = new TextEncoder().encode(`first\n\ngrößer\n${"x".repeat(16384)}yy\nno end`);
// In pieces that cut lines and letters in two.
for (let at = 0; at < text.length; at += 1009) {
  Deno.stdout.writeSync(text.subarray(at, Math.min(at + 1009, text.length)));
  if (at < 3000) await new Promise((resolve) => setTimeout(resolve, 2));
}
console.error(`rank ${rank} warns`);
