/** For `--preload`: a program says the code it exits with, which `mpirun` may replace by another. */

const exit = Deno.exit;
Deno.exit = (code) => {
  console.error(`exits with code ${code}`);
  return exit(code);
};
