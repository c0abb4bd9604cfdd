/** What 2,000 watchers of a job cost its training. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

import { startService } from '../../services/cli/start-service.js';
import { recipeToWire } from '../../shared/contract/index.js';
import { deferred } from '../../shared/foundation/index.js';
import { callStream, callUnary, connectTrainer } from '../../shared/rpc/index.js';
import { processorSecondsOf, sampleOf } from '../proc.js';
import { startLoad } from './load-clients.js';
import { quantile, rounded, type Bench } from './table.js';

const COUNT = 2000;
const ROUNDS = 3;
const SECONDS = 12;
const SETTLE_MS = 2000;

/** What happened in one stretch of time. */
interface Stretch {
  readonly stepMs: number;
  /** Processor time of the service and of its engine, for each step. */
  readonly serviceMs: number;
  readonly engineMs: number;
  readonly memoryMib: number;
}

interface Running {
  readonly address: string;
  readonly jobId: string;
  readonly service: number;
  readonly engine: number;
  /** The newest step and its position. */
  readonly newest: () => { readonly step: number; readonly position: string };
}

export const watchers: Bench = async (say) => {
  const folder = await mkdtemp(join(tmpdir(), 'bench-'));
  const listening = deferred<{ readonly port: number; readonly pid: number }>();
  let engine = 0;
  const trainer = startService(
    'trainer',
    {
      ...process.env,
      IP_DIFFUSION_STORE: join(folder, 'store'),
      IP_DIFFUSION_TRAINER_ADDRESS: '127.0.0.1:0',
    },
    (line) => {
      // The engine's number comes after the service's own, and replaces it.
      const { port, pid, msg } = JSON.parse(line) as { port?: number; pid: number; msg: string };
      if (port !== undefined) listening.resolve({ port, pid });
      if (msg === 'engine process started') engine = pid;
    },
  );
  const over = new AbortController();
  try {
    const { port, pid: service } = await listening.promise;
    const address = `127.0.0.1:${port}`;
    const client = connectTrainer(address);
    const recipe = recipeToWire({ name: 'bench', training: { steps: 1_000_000, sampleEverySteps: 0 } });
    const { job } = await callUnary(client, client.createTrainingJob, {
      ...{ recipe, requestId: '', validateOnly: false },
    });
    const jobId = job?.jobId ?? '';
    const begun = deferred();
    let newest = { step: 0, position: '' };
    const follow = async (): Promise<void> => {
      const events = callStream(
        client,
        client.watchTrainingJob,
        { jobId, after: '' },
        { signal: over.signal },
      );
      for await (const { event, position } of events) {
        if (event?.$case !== 'stepMetrics') continue;
        newest = { step: event.value.step, position };
        if (newest.step >= 5) begun.resolve();
      }
    };
    say('preparing images and the engine');
    const following = follow().catch(() => undefined);
    await begun.promise;
    const running: Running = { address, jobId, service, engine, newest: () => newest };
    const stretches: { readonly alone: Stretch; readonly watched: Stretch }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      say(`round ${round + 1} of ${ROUNDS}`);
      const alone = await stretch(running);
      stretches.push({ alone, watched: await watched(running, say) });
    }
    over.abort();
    await following;
    client.close();
    return {
      about: `demo-32 in training, ${ROUNDS} rounds of ${SECONDS} s each way in turns, medians; the watchers' process has the lowest priority; ${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores, load of the last 15 minutes ${rounded(loadavg()[2] ?? 0)}`,
      rows: [
        row(
          '1',
          stretches.map(({ alone }) => alone),
        ),
        row(
          String(COUNT + 1),
          stretches.map((each) => each.watched),
        ),
        { watchers: 'cost', 'step ms': cost(stretches) },
      ],
    };
  } finally {
    over.abort();
    trainer.kill();
    await trainer.exited;
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
};

/** A stretch with the watchers. */
async function watched(running: Running, say: (line: string) => void): Promise<Stretch> {
  const { address, jobId, newest } = running;
  const process_ = startLoad({ work: 'watchers', address, jobId, after: newest().position, count: COUNT });
  if (process_.stdout === null) throw new Error('no output');
  const lines = createInterface(process_.stdout);
  await nextLine(lines);
  await delay(SETTLE_MS);
  const found = await stretch(running);
  const last = nextLine(lines);
  process_.stdin?.end();
  say(`  ${await last}`);
  await once(process_, 'close');
  await delay(SETTLE_MS);
  return found;
}

async function nextLine(lines: Interface): Promise<string> {
  const [line] = (await once(lines, 'line')) as [string];
  return line;
}

async function stretch({ service, engine, newest }: Running): Promise<Stretch> {
  const look = async () => ({
    ms: performance.now(),
    step: newest().step,
    serviceMs: 1000 * (await processorSecondsOf(service)),
    engineMs: 1000 * (await processorSecondsOf(engine)),
  });
  const nextStep = async (): Promise<void> => {
    const { step } = newest();
    while (newest().step === step) await delay(5);
  };
  await nextStep();
  const before = await look();
  await delay(1000 * SECONDS);
  await nextStep();
  const after = await look();
  const steps = after.step - before.step;
  return {
    stepMs: (after.ms - before.ms) / steps,
    serviceMs: (after.serviceMs - before.serviceMs) / steps,
    engineMs: (after.engineMs - before.engineMs) / steps,
    memoryMib: (await sampleOf(service))?.memoryMib ?? Number.NaN,
  };
}

function row(name: string, stretches: readonly Stretch[]): Record<string, string | number> {
  const ofMachine = ({ serviceMs, stepMs }: Stretch): number =>
    (100 * serviceMs) / stepMs / availableParallelism();
  const of = (value: (stretch: Stretch) => number): number => rounded(median(stretches.map(value)));
  return {
    watchers: name,
    'step ms': of(({ stepMs }) => stepMs),
    "service's ms of processor a step": of(({ serviceMs }) => serviceMs),
    "engine's": of(({ engineMs }) => engineMs),
    'service, of all processors': `${of(ofMachine)} %`,
    "service's memory MiB": of(({ memoryMib }) => memoryMib),
  };
}

/** How much longer a step takes beside the watchers. */
function cost(stretches: readonly { readonly alone: Stretch; readonly watched: Stretch }[]): string {
  const ratios = stretches.map(({ alone, watched: beside }) => beside.stepMs / alone.stepMs - 1);
  return `${rounded(100 * median(ratios))} %`;
}

function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}
