/** What the demo stores of a model between runs. */

import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { cacheFolder, storeFolder } from './demo-services.js';
import type { DemoPlan } from './demo-plan.js';

export interface DemoState {
  readonly jobId: string;
  /** For how long the job has trained. */
  readonly trainedMs: number;
  /** Of the last event seen. */
  readonly position?: string;
}

export async function readState(plan: DemoPlan): Promise<DemoState | undefined> {
  try {
    return JSON.parse(await readFile(statePath(plan), 'utf8')) as DemoState;
  } catch {
    // Missing or damaged: then only the time of training so far is not known.
    return undefined;
  }
}

export async function writeState(plan: DemoPlan, state: DemoState): Promise<void> {
  const path = statePath(plan);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, JSON.stringify(state));
  await rename(`${path}.new`, path);
}

/** Removes the files of earlier demos from their folder, and no others. */
export async function removeDemos(folder: string): Promise<void> {
  for (const path of [storeFolder(folder), cacheFolder(folder), stateFolder(folder)]) {
    await rm(path, { recursive: true, force: true });
  }
}

function stateFolder(folder: string): string {
  return join(folder, 'state');
}

function statePath({ dataFolder, model }: DemoPlan): string {
  return join(stateFolder(dataFolder), `${model}.json`);
}
