/** Slots of a device, in which images stay between the steps of their solvers. */

import { PRIORITIES, type Priority } from '../../shared/contract/index.js';
import {
  abortError,
  at,
  deferred,
  DiffusionError,
  onAbort,
  throwIfAborted,
} from '../../shared/foundation/index.js';
import type { NoiseStream, Slot, SlotRow, SlotState } from '../../shared/sampler/index.js';
import type { RepeatedSpans } from '../../shared/tracing/index.js';
import { stepName, type SlotWork, type StepName } from './engine-process/slot-inputs.js';
import { isEngineLost, type PredictionEngine } from './prediction-engine.js';
import type { PassGate } from './pass-gate.js';
import { lanes, reachOf, weightedTurns, type Owner } from './priorities.js';
import type { SlotEngine } from './slot-engine.js';
import { stepBatcher } from './step-batcher.js';

export interface OpenSlot extends Slot {
  /** Another image may have it then. */
  close(): void;
}

export interface SlotOptions {
  /** Whose turn it takes. */
  readonly owner: Owner;
  /** Of the image. */
  readonly noise: NoiseStream;
  /** Ends the waiting for a slot. */
  readonly signal: AbortSignal;
  /** Of the call: takes the passes that compute its rows. */
  readonly passes?: RepeatedSpans | undefined;
  /** Called when a pass takes a row in. */
  readonly onStart: () => void;
}

export interface Slots {
  /** Resolves when one is free and it is the caller's turn. @throws the signal's reason. */
  open(options: SlotOptions): Promise<OpenSlot>;
}

/** The engine of a model, which is replaced where it crashes. */
export interface Engines {
  current(): Promise<PredictionEngine>;
  /** Replaces an engine, unless that has been done. */
  renew(lost: Promise<PredictionEngine>): Promise<PredictionEngine>;
  /** Runs what computes so many rows, for the metrics. */
  timed<T>(counts: { readonly rows: number; readonly padding: number }, pass: () => Promise<T>): Promise<T>;
}

/** Evaluations of an image that are run without asking whether others wait. */
const MOST_ROWS_A_PASS = 4;

/** A slot, and the engine that has the image in it. */
interface Place {
  readonly slot: number;
  engine: PredictionEngine | undefined;
}

interface Waiting {
  readonly owner: Owner;
  readonly resolve: (slot: number) => void;
}

/** The next rows of one slot. */
interface Asked {
  /** Of the first row. */
  readonly t: number;
  readonly place: Place;
  readonly rows: readonly SlotRow[];
  readonly noise: NoiseStream;
}

/** What became of them. */
interface Answer {
  /** No values come here for a solver. */
  readonly length: 0;
  /** How many were run; undefined where the engine was lost, and the image with it. */
  readonly ran: number | undefined;
  readonly isFinite: boolean;
}

const LOST: Answer = { length: 0, ran: undefined, isFinite: true };

/**
 * The slots of a model. Images wait for one: the classes take turns by their weights, and a class and those below it may
 * have a part of all slots, as of the other limits. The state of an image that a crashed engine takes along is computed
 * again. Rows of one function share passes; passes of the two functions take turns as those of two models do.
 *
 * @param join Gives the gate of one function's passes.
 */
export function deviceSlots(
  { slots: count, size }: SlotEngine,
  engines: Engines,
  join: () => Pick<PassGate, 'mayBegin' | 'begin'>,
): Slots {
  const free = Array.from({ length: count }, (_, slot) => slot);
  const held = new Map<number, Priority>();
  const waiting = lanes<Waiting>();
  const turns = weightedTurns();
  const batcher = () => stepBatcher<Asked, Answer>(runPass, [size], join());
  const ask: Readonly<Record<StepName, ReturnType<typeof batcher>>> = {
    step: batcher(),
    step_pixels: batcher(),
  };

  function mayHave(priority: Priority): boolean {
    const classes = PRIORITIES.slice(PRIORITIES.indexOf(priority));
    const ofClasses = [...held.values()].filter((each) => classes.includes(each)).length;
    return ofClasses < Math.ceil(reachOf(priority) * count);
  }

  function giveOut(): void {
    for (;;) {
      const [first] = turns.order(PRIORITIES.filter((each) => waiting[each].size > 0 && mayHave(each)));
      if (first === undefined || free.length === 0) return;
      const next = waiting[first].take();
      const slot = free.shift();
      if (next === undefined || slot === undefined) return;
      turns.charge(first, 1);
      held.set(slot, first);
      next.resolve(slot);
    }
  }

  async function freeSlot(owner: Owner, signal: AbortSignal): Promise<number> {
    throwIfAborted(signal, 'waiting for a slot');
    const { promise, resolve, reject } = deferred<number>();
    const entry = { owner, resolve };
    const lane = waiting[owner.priority];
    lane.add(entry);
    const stopListening = onAbort(signal, () => {
      // One that has been given out meanwhile is the caller's, who closes it.
      if (lane.delete(entry)) reject(abortError(signal, 'waiting for a slot'));
    });
    giveOut();
    try {
      return await promise;
    } finally {
      stopListening();
    }
  }

  async function runPass(asked: readonly Asked[]): Promise<Answer[]> {
    const current = engines.current();
    const engine = await current;
    const here = asked.filter(({ place }) => place.engine === engine);
    const { inSlots } = engine;
    if (inSlots === undefined || here.length === 0) return asked.map(() => LOST);
    const ran = Math.min(MOST_ROWS_A_PASS, ...here.map(({ rows }) => rows.length));
    const passes = Array.from({ length: ran }, (_, k) => here.map((each) => workOf(each, k)));
    try {
      const counts = { rows: ran * here.length, padding: ran * (size - here.length) };
      const finite = await engines.timed(counts, () => inSlots.step(passes));
      return asked.map((each) => {
        const place = here.indexOf(each);
        if (place < 0) return LOST;
        return { length: 0, ran, isFinite: finite.every((ofPass) => ofPass[place] === 1) };
      });
    } catch (error) {
      if (!isEngineLost(error)) throw error;
      // The images ask for the new one, and learn there why it doesn't start.
      engines.renew(current).catch(() => undefined);
      return asked.map(() => LOST);
    }
  }

  async function open({ owner, noise, signal, passes, onStart }: SlotOptions): Promise<OpenSlot> {
    const place: Place = { slot: await freeSlot(owner, signal), engine: undefined };
    let begun: SlotState = { x: new Float32Array(0), history: [] };
    /** The rows since, with which the image can be computed again. */
    let rowsRun: SlotRow[] = [];
    let isClosed = false;

    async function upload(): Promise<void> {
      const current = engines.current();
      try {
        const engine = await current;
        await engine.inSlots?.write(place.slot, begun);
        place.engine = engine;
      } catch (error) {
        if (!isEngineLost(error)) throw error;
        const engine = await engines.renew(current);
        await engine.inSlots?.write(place.slot, begun);
        place.engine = engine;
      }
    }

    /** A row that a pass has taken in is waited for, so that it's known where the image is. */
    async function runOnce(rows: readonly SlotRow[], signal?: AbortSignal): Promise<number | undefined> {
      const leaving = new AbortController();
      let isTaken = false;
      const stopListening = onAbort(signal, () => {
        if (!isTaken) leaving.abort(signal?.reason);
      });
      const taken = (): void => {
        isTaken = true;
        onStart();
      };
      try {
        const first = at(rows, 0);
        const { ran, isFinite } = await ask[stepName(first)](
          { t: first.t, place, rows, noise },
          { owner, passes, signal: leaving.signal, onStart: taken },
        );
        if (isFinite) return ran;
        const message = "the network's output: wanted finite values; got infinity or NaN";
        throw new DiffusionError('NETWORK_OUTPUT_NOT_FINITE', message);
      } finally {
        stopListening();
      }
    }

    async function computeAgain(): Promise<void> {
      await upload();
      for (let done = 0; done < rowsRun.length;) done += (await runOnce(rowsRun.slice(done))) ?? lost();
    }

    // Once: an image that ends the engine would end it every time.
    async function run(rows: readonly SlotRow[], signal?: AbortSignal): Promise<number> {
      let ran = await runOnce(rows, signal);
      if (ran === undefined) {
        await computeAgain();
        ran = (await runOnce(rows)) ?? lost();
      }
      rowsRun.push(...rows.slice(0, ran));
      return ran;
    }

    return {
      write: (state) => {
        begun = state;
        rowsRun = [];
        return upload();
      },
      run,
      read: async (array) => {
        const read = async (): Promise<Float32Array> => {
          const engine = await engines.current();
          if (engine !== place.engine || engine.inSlots === undefined) return lost();
          return engine.inSlots.read(place.slot, array);
        };
        try {
          return await read();
        } catch (error) {
          if (!isEngineLost(error)) throw error;
          await computeAgain();
          return read();
        }
      },
      close: () => {
        if (isClosed) return;
        isClosed = true;
        held.delete(place.slot);
        free.push(place.slot);
        giveOut();
      },
    };
  }

  return { open };
}

function workOf({ place: { slot }, rows, noise: { key, index } }: Asked, k: number): SlotWork {
  return { slot, row: at(rows, k), key, index };
}

function lost(): never {
  throw new DiffusionError('ENGINE_LOST', 'the engine process ended, so the image in its slot is lost', {
    retryAfterMs: 1000,
  });
}
