/** Calls of a sampler that come at a rate, whether or not the ones before are answered. */
import { setTimeout as delay } from 'node:timers/promises';

import { samplerSettingsToWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { deriveKey, randomStream } from '../../shared/random/index.js';
import { callStream, connectSampler } from '../../shared/rpc/index.js';
import { generateRequest } from '../sampler-service/sampler-fixture.js';

export interface CallsTask {
  readonly work: 'calls';
  readonly address: string;
  /** Calls a second, on average; the time between two is drawn from an exponential distribution. */
  readonly rate: number;
  readonly seconds: number;
  readonly steps: number;
  /** What a caller's patience is: each call's deadline. */
  readonly timeoutMs: number;
}

/** How one call of one image went; times in milliseconds since it was made. */
export interface CallOutcome {
  readonly beganMs: number;
  /** `OK`, or the reason of the error. */
  readonly reason: string;
  readonly acceptedMs?: number;
  readonly imageMs?: number;
  readonly endMs: number;
  /** Whether a refusal said when to try again. */
  readonly saysWhen: boolean;
}

export async function samplingCalls(task: CallsTask): Promise<CallOutcome[]> {
  const { address, rate, seconds } = task;
  const draw = randomStream(deriveKey(1n, 'bench/load'), [Math.round(1000 * rate)]);
  const client = connectSampler(address);
  const calls: Promise<CallOutcome>[] = [];
  const beganMs = performance.now();
  for (let atMs = 0; atMs < 1000 * seconds; atMs += (-1000 * Math.log(1 - draw.uniform())) / rate) {
    const waitMs = beganMs + atMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    calls.push(oneCall(client, calls.length, task));
  }
  const outcomes = await Promise.all(calls);
  client.close();
  return outcomes;
}

async function oneCall(
  client: ReturnType<typeof connectSampler>,
  number: number,
  { steps, timeoutMs }: CallsTask,
): Promise<CallOutcome> {
  const settings = { ...samplerSettingsToWire({ sampler: 'ancestral', steps }), precision: 0 } as const;
  const request = generateRequest({ model: 'bench', count: 1, seed: BigInt(number), settings });
  const beganMs = performance.now();
  const since = (): number => performance.now() - beganMs;
  const times: { acceptedMs?: number; imageMs?: number } = {};
  try {
    for await (const { event } of callStream(client, client.generate, request, { timeoutMs })) {
      if (event?.$case === 'accepted') times.acceptedMs = since();
      if (event?.$case === 'image') times.imageMs ??= since();
    }
    return { beganMs, reason: 'OK', ...times, endMs: since(), saysWhen: false };
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    const saysWhen = error.retryAfterMs !== undefined;
    return { beganMs, reason: error.reason, ...times, endMs: since(), saysWhen };
  }
}
