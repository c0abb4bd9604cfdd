/** Which calls may begin, and in which order the others wait. */

import { PRIORITIES, type Priority } from '../../shared/contract/index.js';
import { abortError, deferred, DiffusionError, onAbort, type Clock } from '../../shared/foundation/index.js';
import type { AdmissionLimits, Demand } from './admission-limits.js';
import { lateness, lineOf, type Late } from './lateness.js';
import type { OnWaited } from './metrics.js';
import { reachOf, weightedTurns, type Owner } from './priorities.js';
import { requestMemory } from './request-memory.js';
import { refuseTooLarge } from './too-large.js';
import { workRate } from './work-rate.js';

/** A call's place in the queue. */
export interface QueuePlace {
  /** 1 for the call that is next. */
  readonly position: number;
  /** Estimated time until it begins; undefined until a rate is known. */
  readonly expectedMs: number | undefined;
}

/** What a running call holds. */
export interface Place {
  /** Gives back a part of its cost, which has been computed. */
  done(cost: number): void;
  /** Gives back all; more calls of it do nothing. */
  release(): void;
}

export interface Admission {
  /**
   * Counts a request that is in memory. @returns what ends that.
   * @throws DiffusionError BUSY where requests take too much memory already, CALL_TOO_LARGE where this one always will.
   */
  hold(caller: string, bytes: number): () => void;
  /**
   * Resolves when the call may run.
   *
   * @param onQueued Called with its place in the queue, where it has to wait, and whenever that changes.
   * @throws DiffusionError RESOURCE_EXHAUSTED: BUSY with a delay where too many calls wait, or where the call would end
   * after its deadline; TOO_MANY_EVALUATIONS or CALL_TOO_LARGE where the call alone is above a limit. The signal's reason.
   */
  enter(
    owner: Owner,
    demand: Demand,
    signal: AbortSignal,
    onQueued: (place: QueuePlace) => void,
  ): Promise<Place>;
  /** What is held now. */
  readonly held: Readonly<Amounts & { waiting: number; requestBytes: number }>;
  /** Calls of a class that wait now. */
  waitingOf(priority: Priority): number;
}

/** In the units of `AdmissionLimits`. */
interface Amounts {
  calls: number;
  cost: number;
  bytes: number;
}

interface Running {
  readonly owner: Owner;
  readonly amounts: Amounts;
}

interface Waiting extends Running {
  readonly admit: (place: Place) => void;
  readonly refuse: (error: DiffusionError) => void;
  readonly onQueued: (place: QueuePlace) => void;
  announced: { readonly position: number; readonly atMs: number } | undefined;
}

const MIN_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;
/** An estimate that is older than this is given anew. */
const ANNOUNCE_AFTER_MS = 2000;
const AMOUNTS = ['calls', 'cost', 'bytes'] as const;

/**
 * A call begins when all of its demand is free: within the limits of all calls, of its caller, and of its class (the
 * calls of a class and of those below it may have a part of each limit). The classes take turns by their weights; in a
 * class the caller with the fewest running calls is next. A call that waits because of what its own caller or class has is
 * passed by calls of others only, and one that waits for room among all by nobody: so a large call gets its turn.
 *
 * A call that would end after its deadline is refused, when it comes and again when it would begin: what was computed for
 * it would be lost, and other calls would be late because of it.
 */
export function admission(limits: AdmissionLimits, clock: Clock, onWaited?: OnWaited): Admission {
  const running = new Set<Running>();
  /** In the order in which they came. */
  const waiting = new Set<Waiting>();
  const turns = weightedTurns();
  const rate = workRate(clock);
  const late = lateness(clock);
  const requests = requestMemory(limits, busy);

  function used(of: (call: Running) => boolean): Amounts {
    const sum = { calls: 0, cost: 0, bytes: 0 };
    for (const call of running) if (of(call)) for (const name of AMOUNTS) sum[name] += call.amounts[name];
    return sum;
  }

  /** Of few calls, too, everyone may have one. */
  function partOf(part: number, name: keyof AdmissionLimits): number {
    const most = part * limits[name];
    return name === 'calls' || name === 'waiting' ? Math.ceil(most) : most;
  }

  function fits(amounts: Amounts, part: number, of: (call: Running) => boolean): boolean {
    const already = used(of);
    return AMOUNTS.every((name) => already[name] + amounts[name] <= partOf(part, name));
  }

  function fitsCaller({ owner: { caller }, amounts }: Running): boolean {
    return fits(amounts, limits.callerShare, ({ owner }) => owner.caller === caller);
  }

  function fitsClass({ owner: { priority }, amounts }: Running): boolean {
    const classes = andBelow(priority);
    return fits(amounts, reachOf(priority), ({ owner }) => classes.includes(owner.priority));
  }

  function inOrder(): Waiting[] {
    const callsOf = (caller: string): number => used(({ owner }) => owner.caller === caller).calls;
    const ofClass = (priority: Priority): Waiting[] =>
      [...waiting]
        .filter(({ owner }) => owner.priority === priority)
        .map((call) => ({ call, calls: callsOf(call.owner.caller) }))
        .sort((a, b) => a.calls - b.calls)
        .map(({ call }) => call);
    return turns.order(PRIORITIES).flatMap(ofClass);
  }

  /** The next call that may begin now. */
  function nextToBegin(): Waiting | undefined {
    const behind = new Set<string>();
    for (const call of inOrder()) {
      const { priority } = call.owner;
      const ofCaller = lineOf(call.owner);
      if (behind.has(priority) || behind.has(ofCaller)) continue;
      if (!fitsCaller(call)) behind.add(ofCaller);
      else if (!fitsClass(call)) for (const each of andBelow(priority)) behind.add(each);
      else return fits(call.amounts, 1, () => true) ? call : undefined;
    }
    return undefined;
  }

  function beginNext(): void {
    for (let next = nextToBegin(); next !== undefined; next = nextToBegin()) {
      waiting.delete(next);
      const tooLate = late.of(next, running);
      if (tooLate !== undefined) {
        next.refuse(lateCall(tooLate));
        continue;
      }
      turns.charge(next.owner.priority, 1);
      next.admit(begin(next));
    }
  }

  function announce(): void {
    const atMs = clock.monotonicMs();
    for (const [i, call] of inOrder().entries()) {
      const position = i + 1;
      const { announced } = call;
      if (announced?.position === position && atMs - announced.atMs < ANNOUNCE_AFTER_MS) continue;
      call.announced = { position, atMs };
      call.onQueued({ position, expectedMs: expectedMs(position) });
    }
  }

  /** Begins what may begin, and says to the others where they are; called after every change. */
  function settle(): void {
    if (waiting.size === 0) return;
    beginNext();
    announce();
  }

  function begin({ owner, amounts }: Running): Place {
    const call = { owner, amounts: { ...amounts } };
    owner.call.remaining = amounts.cost;
    running.add(call);
    return {
      done: (cost) => {
        call.amounts.cost = Math.max(0, call.amounts.cost - cost);
        owner.call.remaining = call.amounts.cost;
        rate.add(cost);
        late.done(owner, cost, waiting);
        settle();
      },
      release: () => {
        if (!running.delete(call)) return;
        settle();
        late.gone(owner, [...running, ...waiting]);
      },
    };
  }

  /** How long until so many calls have ended, if the running ones share what is computed equally. */
  function expectedMs(position: number): number | undefined {
    const perMs = rate.perMs();
    if (perMs === undefined) return undefined;
    const left = [...running].map(({ amounts }) => amounts.cost).sort((a, b) => a - b);
    const last = left[position - 1] ?? Infinity;
    const later = inOrder().slice(0, Math.max(0, position - left.length - 1));
    const work = [...left.map((cost) => Math.min(cost, last)), ...later.map(({ amounts }) => amounts.cost)];
    return work.reduce((sum, cost) => sum + cost, 0) / perMs;
  }

  function busy(text: string, inMs = expectedMs(1) ?? MIN_RETRY_MS): DiffusionError {
    const retryAfterMs = Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, inMs));
    return new DiffusionError('BUSY', text, { retryAfterMs: Math.round(retryAfterMs) });
  }

  function lateCall({ endsInMs, leftMs }: Late): DiffusionError {
    const [ends, left] = [endsInMs, leftMs].map((ms) => (ms / 1000).toFixed(1));
    const text = `the call would end in about ${ends} s, after other calls of this caller; its deadline is in ${left} s`;
    return busy(text, endsInMs - leftMs);
  }

  /** @throws DiffusionError BUSY where the call has to wait and more wait than may; it waits no longer then. */
  function refuseOverfull(call: Waiting): void {
    const ofCaller = [...waiting].filter(({ owner }) => owner.caller === call.owner.caller).length;
    if (!waiting.has(call)) return;
    if (waiting.size <= limits.waiting && ofCaller <= partOf(limits.callerShare, 'waiting')) return;
    waiting.delete(call);
    throw busy(`${waiting.size} calls wait already, ${ofCaller - 1} of them of this caller`);
  }

  /** @throws DiffusionError BUSY where the call, which came last, has to wait and would end too late. */
  function refuseLate(call: Waiting): void {
    if (!waiting.has(call)) return;
    const others = [...running, ...waiting].filter((other) => other !== call);
    const tooLate = late.of(call, others);
    if (tooLate === undefined) return;
    waiting.delete(call);
    throw lateCall(tooLate);
  }

  return {
    hold: requests.hold,
    enter: async (owner, demand, signal, onQueued) => {
      signal.throwIfAborted();
      refuseTooLarge(owner, demand, limits);
      const { promise, resolve, reject } = deferred<Place>();
      const amounts = { calls: 1, ...demand };
      const call = { owner, amounts, admit: resolve, refuse: reject, onQueued, announced: undefined };
      const cameMs = clock.monotonicMs();
      waiting.add(call);
      beginNext();
      refuseOverfull(call);
      refuseLate(call);
      announce();
      const stopListening = onAbort(signal, () => {
        if (waiting.delete(call)) settle();
        reject(abortError(signal, 'waiting for a place'));
      });
      try {
        return await promise;
      } finally {
        stopListening();
        late.gone(owner, [...running, ...waiting]);
        onWaited?.(owner.priority, clock.monotonicMs() - cameMs);
      }
    },
    waitingOf: (priority) => [...waiting].filter(({ owner }) => owner.priority === priority).length,
    get held() {
      return { ...used(() => true), waiting: waiting.size, requestBytes: requests.bytes };
    },
  };
}

/** The class and those below it. */
function andBelow(priority: Priority): readonly Priority[] {
  return PRIORITIES.slice(PRIORITIES.indexOf(priority));
}
