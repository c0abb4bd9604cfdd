/** Calls that come faster than the engine computes, on a clock of the test: which of them end before their deadlines. */

import { setMaxListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';

import test from 'ava';

import { admission, type Place } from '../../services/sampler/admission.js';
import type { AdmissionLimits } from '../../services/sampler/admission-limits.js';
import { newCall, type Call, type Owner } from '../../services/sampler/priorities.js';
import { stepBatcher } from '../../services/sampler/step-batcher.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { deriveKey, randomStream } from '../../shared/random/index.js';
import { UNCONDITIONAL, type NetworkRow } from '../../shared/sampler/index.js';

const LIMITS: AdmissionLimits = {
  ...{ calls: 64, cost: 1e6, bytes: 1e6, waiting: 256, requestBytes: 1e6, callerShare: 0.5 },
};
const SIZES = [1, 2, 4, 8, 16];
const STEPS = 5;
/** The time of a pass: 94 ms for one row, 260 ms for four, 904 ms for sixteen; relative times as measured. */
const passMs = (rows: number): number => 40 + 54 * (SIZES.find((size) => size >= rows) ?? Number.NaN);
/** Images a second, in full passes. */
const CAPACITY = (1000 * 16) / (STEPS * passMs(16));
const DEADLINE_MS = 30_000;
/** For so long calls come. */
const SECONDS = 90;

interface Outcome {
  readonly caller: string;
  readonly beganMs: number;
  /** Undefined where the call did not end in time. */
  readonly tookMs: number | undefined;
  /** Steps that were computed for it. */
  readonly steps: number;
  readonly refused: boolean;
}

interface Simulated {
  /** How often the engine takes its usual time for a pass. */
  readonly slowness?: number;
  /** How many calls come, of as many as the engine can compute. */
  readonly times: number;
  readonly callers?: readonly string[];
  readonly makeCall?: (deadlineMs: number) => Call;
}

/** Calls of one image. */
async function simulate({
  times,
  slowness = 1,
  callers = ['a'],
  makeCall = newCall,
}: Simulated): Promise<Outcome[]> {
  let nowMs = 0;
  const clock = { wallMs: () => 0, monotonicMs: () => nowMs };
  const gate = admission(LIMITS, clock);
  const events: { readonly atMs: number; readonly run: () => void }[] = [];
  const outcomes: Outcome[] = [];
  let open = 0;

  /** Moves the clock, and lets everything happen that happens on the way. */
  async function passUntil(endMs: number): Promise<void> {
    for (;;) {
      await settle();
      const next = events[0];
      if (next === undefined || next.atMs > endMs) break;
      events.shift();
      nowMs = Math.max(nowMs, next.atMs);
      next.run();
    }
    nowMs = Math.max(nowMs, endMs);
  }

  function at(atMs: number, run: () => void): void {
    const before = events.findLastIndex((event) => event.atMs <= atMs);
    events.splice(before + 1, 0, { atMs, run });
  }

  let computing = 0;
  const predict = stepBatcher(async (rows: readonly NetworkRow[]) => {
    computing += 1;
    await passUntil(nowMs + slowness * passMs(rows.length));
    computing -= 1;
    return rows.map(({ xT }) => xT);
  }, SIZES);

  async function call(caller: string): Promise<void> {
    open += 1;
    const beganMs = nowMs;
    const over = new AbortController();
    setMaxListeners(0, over.signal);
    at(beganMs + DEADLINE_MS, () => {
      over.abort(new DiffusionError('DEADLINE_EXCEEDED', 'the deadline passed'));
    });
    const owner: Owner = { priority: 'normal', caller, call: makeCall(beganMs + DEADLINE_MS) };
    let steps = 0;
    let place: Place | undefined;
    let refused = false;
    try {
      place = await gate.enter(owner, { cost: STEPS, bytes: 1 }, over.signal, () => undefined);
      for (; steps < STEPS; steps++) {
        await predict({ xT: Float32Array.of(0), t: 1, y: UNCONDITIONAL }, { owner, signal: over.signal });
        place.done(1);
      }
    } catch (error) {
      refused = error instanceof DiffusionError && error.reason === 'BUSY';
    } finally {
      place?.release();
      open -= 1;
      const tookMs = steps === STEPS ? nowMs - beganMs : undefined;
      outcomes.push({ caller, beganMs, tookMs, steps, refused });
    }
  }

  for (const [i, caller] of callers.entries()) {
    const draw = randomStream(deriveKey(1n, 'test/overload'), [i]);
    const rate = (times * CAPACITY) / slowness / callers.length / 1000;
    for (let atMs = 0; atMs < 1000 * SECONDS; atMs += -Math.log(1 - draw.uniform()) / rate)
      at(atMs, () => void call(caller));
  }
  // While the engine has nothing to compute, time passes up to the next call.
  for (let next = events[0]; next !== undefined || open > 0; next = events[0]) {
    await settle();
    if (computing === 0 && next !== undefined) await passUntil(next.atMs);
  }
  return outcomes;
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await setImmediate();
}

function quantile(values: readonly number[], part: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(part * values.length)] ?? Number.NaN;
}

/** The calls that came while the load was steady, and what was computed for those that did not end in time. */
function measured(outcomes: readonly Outcome[]) {
  const [first, last] = [DEADLINE_MS, 1000 * SECONDS];
  const ended = outcomes.filter(
    ({ beganMs, tookMs = Infinity }) => beganMs + tookMs >= first && beganMs + tookMs < last,
  );
  const took = ended.map(({ tookMs = Infinity }) => tookMs);
  const lost = outcomes
    .filter(({ tookMs }) => tookMs === undefined)
    .reduce((sum, { steps }) => sum + steps, 0);
  const all = outcomes.reduce((sum, { steps }) => sum + steps, 0);
  const ofCapacity = (1000 * ended.length) / (last - first) / CAPACITY;
  return { ended, ofCapacity, lostPart: lost / all, p50: quantile(took, 0.5), p99: quantile(took, 0.99) };
}

/** A call that takes turns with the others of its caller and doesn't say when it has to end. */
function withoutOrder(): Call {
  return Object.defineProperty(newCall(), 'remaining', { get: () => Infinity, set: () => undefined });
}

test('at four times the capacity nearly all of it goes to calls that end in time, and the others hear early when to try again [fault 97]', async (t) => {
  const outcomes = await simulate({ times: 4 });
  const { ofCapacity, lostPart } = measured(outcomes);
  t.true(ofCapacity > 0.9, `${ofCapacity} of what the engine can do`);
  t.true(lostPart < 0.03, `${lostPart} of the steps were computed for nothing`);
  const late = outcomes.filter(({ tookMs, refused }) => tookMs === undefined && !refused);
  t.true(late.length < 0.05 * outcomes.length, `${late.length} of ${outcomes.length} end at their deadline`);
});

test('where all calls have places and the engine is too slow for them, most hear early that they come too late', async (t) => {
  // 32 places, and 21 images in the time of a deadline, of which five passes take three quarters.
  const outcomes = await simulate({ times: 4, slowness: 5 });
  const served = outcomes.filter(({ tookMs }) => tookMs !== undefined);
  t.true(served.length > (0.6 * SECONDS * CAPACITY) / 5, `${served.length} in time`);
  // Before that the rate is not known.
  const settled = outcomes.filter(({ beganMs }) => beganMs > 20_000);
  const late = settled.filter(({ tookMs, refused }) => tookMs === undefined && !refused);
  t.true(late.length < 0.15 * settled.length, `${late.length} of ${settled.length} end at their deadline`);
});

test('at the capacity no call is refused, and images come no later than when all calls take turns', async (t) => {
  const outcomes = await simulate({ times: 0.9 });
  t.true(outcomes.every(({ tookMs }) => tookMs !== undefined));
  const [now, before] = [
    measured(outcomes),
    measured(await simulate({ times: 0.9, makeCall: withoutOrder })),
  ];
  t.true(now.p50 <= before.p50, `${now.p50} against ${before.p50} ms`);
  t.true(now.p99 <= 1.1 * before.p99, `${now.p99} against ${before.p99} ms`);
});

test('callers have equal parts of an engine of which each asks too much', async (t) => {
  const callers = ['a', 'b', 'c'];
  const { ended, ofCapacity } = measured(await simulate({ times: 4, callers }));
  t.true(ofCapacity > 0.9, `${ofCapacity} of what the engine can do`);
  for (const caller of callers) {
    const part = ended.filter((outcome) => outcome.caller === caller).length / ended.length;
    t.true(Math.abs(part - 1 / 3) < 0.05, `${part} for ${caller}`);
  }
});
