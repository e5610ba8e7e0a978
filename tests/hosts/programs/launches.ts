/**
 * A launcher of the tests: the first argument is its options as JSON, the others are the program and its
 * arguments. With `join`, it takes part in a job instead. Under another launcher it takes its place.
 */

import { joinLaunch } from "../../../runtime/launcher/across_hosts.ts";
import { launchProgram } from "../../../runtime/launcher/launch.ts";
import { launcherPlace } from "../../../runtime/launcher/launcher_place.ts";
import { readInvitationFile } from "../../../runtime/agents/invitation.ts";

const [json, program, ...args] = Deno.args;
const { join, ...options } = JSON.parse(json);
try {
  const place = launcherPlace();
  if (join !== undefined || (place !== null && place.index > 0)) {
    const from = join === undefined ? place! : await readInvitationFile(join);
    const { code, message } = await joinLaunch(from, options);
    if (message !== null) console.error(`ended: ${message}`);
    Deno.exit(code);
  }
  const more = place === null ? {} : { place };
  const { code, failure } = await launchProgram({ ...options, ...more, program, args });
  if (failure) console.error(failure.message);
  Deno.exit(code);
} catch (error) {
  console.error((error as Error).message);
  Deno.exit(1);
}
