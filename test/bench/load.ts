/** What a sampler does when more is asked of it than it can do, by honest clients and beside one that behaves badly. */
import { availableParallelism, cpus, loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

import { sampleOf } from '../proc.js';
import { grouped } from '../soak/history.js';
import { runGhz, runLoad } from './load-clients.js';
import type { CallOutcome } from './sampling-calls.js';
import { sampleSmall, startSmallSampler, type SmallSampler } from './small-sampler.js';
import { quantile, rounded, type Bench } from './table.js';

const STEPS = 5;
const SECONDS = 20;
/** What clients wait for an image, at most. */
const TIMEOUT_MS = 30_000;
const OFFERED = [0.5, 1, 2, 4];
const MOST = 4;
const CAPACITY_IMAGES = 64;
const METHOD = 'diffusion.sampler.v1.SamplerService/Generate';

type Row = Record<string, string | number>;

export const load: Bench = async (say, isWanted) => {
  const sampler = await startSmallSampler();
  try {
    say('what the sampler can do');
    const capacity = await capacityOf(sampler);
    const rows: Row[] = [];
    const measure = async (name: string, work: () => Promise<Row>): Promise<void> => {
      if (!isWanted(name)) return;
      say(name);
      const peak = peakMemory(sampler.pid);
      const row = await work();
      rows.push({ load: name, ...row, 'memory MiB': Math.round(await peak.end()) });
      await delay(1000);
    };
    const calls = (times: number): Promise<CallOutcome[]> =>
      runLoad<CallOutcome[]>({
        ...{ work: 'calls', address: sampler.address, seconds: SECONDS },
        ...{ rate: times * capacity, steps: STEPS, timeoutMs: TIMEOUT_MS },
      });
    for (const times of OFFERED) await measure(`${times} times`, async () => rowOf(await calls(times)));
    await measure(`${MOST} times, beside a client that behaves badly`, async () => {
      const rude = runLoad({ work: 'rude', address: sampler.address, seconds: SECONDS });
      const row = rowOf(await calls(MOST));
      await rude;
      return row;
    });
    await measure(`${MOST} times, by ghz`, () => byGhz(sampler, MOST * capacity));
    say('whether it serves as before');
    const after = await capacityOf(sampler);
    const processor = `${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores, load of the last 15 minutes ${rounded(loadavg()[2] ?? 0)}`;
    return {
      about: `calls of 1 image in ${STEPS} steps with the 8M network for ${SECONDS} s, clients on the same machine; the sampler makes ${rounded(capacity)} images/s before and ${rounded(after)} after; ${processor}`,
      rows,
    };
  } finally {
    await sampler.end();
  }
};

/** Images a second of one call of many. */
async function capacityOf({ client }: SmallSampler): Promise<number> {
  const sample = (count: number): Promise<void> => sampleSmall(client, { count, steps: STEPS });
  await sample(16);
  const beganMs = performance.now();
  await sample(CAPACITY_IMAGES);
  return (1000 * CAPACITY_IMAGES) / (performance.now() - beganMs);
}

function rowOf(outcomes: readonly CallOutcome[]): Row {
  const firstMs = Math.min(...outcomes.map(({ beganMs }) => beganMs));
  const lastMs = Math.max(...outcomes.map(({ beganMs, endMs }) => beganMs + endMs));
  const done = outcomes.filter(({ reason }) => reason === 'OK');
  const refused = outcomes.filter(({ reason }) => reason !== 'OK');
  const reasons = [...grouped(refused, ({ reason }) => reason)].map(
    ([reason, calls]) => `${calls.length} ${reason}`,
  );
  return {
    calls: outcomes.length,
    'images/s': rounded((1000 * done.length) / (lastMs - firstMs)),
    ...quantiles('first image', done, ({ imageMs }) => imageMs),
    ...quantiles('waiting', done, ({ acceptedMs }) => acceptedMs),
    refused: reasons.join(', ') || 'none',
    ...quantiles('refusal', refused, ({ endMs }) => endMs),
    'refusals with a time': refused.filter(({ saysWhen }) => saysWhen).length,
  };
}

function quantiles(
  name: string,
  outcomes: readonly CallOutcome[],
  of: (outcome: CallOutcome) => number | undefined,
): Row {
  const sorted = outcomes.flatMap((outcome) => of(outcome) ?? []).sort((a, b) => a - b);
  const [p50, p99] = [quantile(sorted, 0.5), quantile(sorted, 0.99)].map((ms) =>
    Number.isNaN(ms) ? '' : Math.round(ms),
  );
  return { [`${name} p50 ms`]: p50 ?? '', [`${name} p99 ms`]: p99 ?? '' };
}

async function byGhz({ address }: SmallSampler, rate: number): Promise<Row> {
  const request = {
    newImages: {
      model: 'bench',
      count: 1,
      seed: '7',
      settings: { sampler: 'SAMPLER_ANCESTRAL', steps: STEPS },
    },
  };
  const limits = { rate, seconds: SECONDS, timeoutMs: TIMEOUT_MS };
  const report = await runGhz(address, METHOD, request, limits);
  if (report === undefined) return { calls: 0, refused: 'Go is not installed' };
  const { OK = 0, ...others } = report.statusCodeDistribution;
  const at = (percentage: number): number | string => {
    const found = report.latencyDistribution?.find((each) => each.percentage === percentage);
    return found === undefined ? '' : Math.round(found.latency / 1e6);
  };
  return {
    calls: report.count,
    'images/s': rounded(OK / SECONDS),
    'first image p50 ms': at(50),
    'first image p99 ms': at(99),
    refused: Object.entries(others)
      .map(([code, count]) => `${count} ${code}`)
      .join(', '),
  };
}

const LOOK_MS = 500;

/** The most resident memory of a process until it is ended. */
function peakMemory(pid: number): { end(): Promise<number> } {
  let peak = 0;
  const look = async (): Promise<void> => {
    peak = Math.max(peak, (await sampleOf(pid))?.memoryMib ?? 0);
  };
  const timer = setInterval(() => void look(), LOOK_MS);
  return {
    end: async () => {
      clearInterval(timer);
      await look();
      return peak;
    },
  };
}
