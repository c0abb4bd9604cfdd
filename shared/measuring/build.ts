/** What made a result. */

import { packageFile } from '../foundation/index.js';

/** This software and what it runs on, for people. */
export function buildOf(): string {
  return `ip-diffusion ${packageFile().version}, Node ${process.version}, ${process.platform}-${process.arch}`;
}
