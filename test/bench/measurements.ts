/** What measurements of the sampler cost, and the memory that their processes take. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { measurementStates } from '../../shared/contract/index.js';
import { MEASURES } from '../../shared/exposure/index.js';
import type { MeasurementRequest } from '../../shared/measuring/index.js';
import { connectMeasure } from '../../shared/rpc/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { spawnService } from '../faults/spawn-service.js';
import { asked, create, ended, imagesFile } from '../sampler-service/measurements.js';
import { commitTiny } from '../sampler-service/tiny-model.js';
import { rounded, type Bench } from './table.js';

const LOOK_EVERY_MS = 250;
const IMAGES = 200;
const STEPS = 20;
const MANY = 50_000;
const FEW_STEPS = 2;
const KIB_A_MIB = 1024;

export const measurements: Bench = async (say, isWanted) => {
  const folder = await mkdtemp(join(tmpdir(), 'measurements-'));
  const storeFolder = join(folder, 'store');
  const store = await openLocalStore({ folder: storeFolder });
  await commitTiny(store, { step: 7 });
  await store.close();
  const cache = join(folder, 'cache');
  const service = await spawnService('sampler', {
    IP_DIFFUSION_STORE: storeFolder,
    IP_DIFFUSION_CACHE: cache,
  });
  const client = connectMeasure(service.address);
  const data = await imagesFile(2 * IMAGES);
  const sampler = { sampler: 'ancestral' as const, steps: STEPS };
  const cases: readonly (readonly [string, MeasurementRequest])[] = [
    ...MEASURES.map(({ name }) => {
      const task = { kind: 'exposure' as const, sampler, measures: [name] };
      return [`exposure: ${name}`, asked({ images: IMAGES, data, task })] as const;
    }),
    ['likelihood', asked({ images: IMAGES, data, task: { kind: 'likelihood', steps: STEPS } })],
    ...[IMAGES, MANY].map((images) => {
      const task = { kind: 'quality' as const, sampler: { ...sampler, steps: FEW_STEPS }, extractor: 'dct' };
      return [`quality, ${images} images`, asked({ images, data, task })] as const;
    }),
  ];
  const rows = [];
  for (const [name, request] of cases.filter(([each]) => isWanted(each))) {
    say(name);
    const peaks = peakMemory(service.child.pid ?? 0);
    const measurement = await ended(client, (await create(client, request)).measurementId);
    peaks.stop();
    const { startTime, endTime, state, message } = measurement;
    if (measurementStates.read(state) !== 'SUCCEEDED') throw new Error(message);
    const seconds = (Number(endTime) - Number(startTime)) / 1000;
    rows.push({ measurement: name, images: request.images, seconds: rounded(seconds), ...peaks.mib() });
  }
  client.close();
  service.child.kill();
  await service.exited;
  await rm(folder, { recursive: true });
  return {
    about: `a tiny network at 8x8, ${STEPS} steps (quality ${FEW_STEPS}), wall time with the start of the process; peaks in MiB`,
    rows,
  };
};

/** The most memory that the service, its measuring process and its engine have taken, in MiB. */
function peakMemory(pid: number) {
  const peaks = { service: 0, measuring: 0, engine: 0 };
  function look(): void {
    note('service', pid);
    for (const child of childrenOf(pid)) {
      const program = textOf(`/proc/${child}/cmdline`);
      if (program.includes('measure-process')) note('measuring', child);
      if (program.includes('engine-process')) note('engine', child);
    }
  }
  function note(name: keyof typeof peaks, of: number): void {
    const [, kib = '0'] = /VmHWM:\s+(\d+) kB/.exec(textOf(`/proc/${of}/status`)) ?? [];
    peaks[name] = Math.max(peaks[name], Number(kib));
  }
  const timer = setInterval(look, LOOK_EVERY_MS);
  return {
    stop: () => {
      clearInterval(timer);
    },
    mib: () =>
      Object.fromEntries(Object.entries(peaks).map(([name, kib]) => [name, Math.round(kib / KIB_A_MIB)])),
  };
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      textOf(`/proc/${pid}/task/${task}/children`).split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

/** Empty for a process that has ended. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
