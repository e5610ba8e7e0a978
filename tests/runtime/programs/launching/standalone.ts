/** Preloaded: makes a program believe that it is a compiled one, whose file the environment names. */

Object.defineProperty(Deno, "build", { value: { ...Deno.build, standalone: true } });
Deno.execPath = () => Deno.env.get("SIMULATED_EXECUTABLE")!;
