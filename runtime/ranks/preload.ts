/**
 * Loaded into every launched rank before its program: ends the rank when its launcher is gone.
 *
 * @module
 */

import { secretLine } from "../bootstrap/launcher_pipe.ts";

secretLine();
