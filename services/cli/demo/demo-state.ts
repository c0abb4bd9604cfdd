/** What the demo remembers of a model between runs. */

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
    // Missing or damaged: the time that was trained is not known then, and nothing else is lost.
    return undefined;
  }
}

export async function writeState(plan: DemoPlan, state: DemoState): Promise<void> {
  const path = statePath(plan);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, JSON.stringify(state));
  await rename(`${path}.new`, path);
}

/** Removes what earlier demos left in their folder, and nothing else. */
export async function forgetDemos(folder: string): Promise<void> {
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
