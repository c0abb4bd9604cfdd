/** Rows of all running generations of one model, put together into forward passes. */

import { setImmediate } from 'node:timers/promises';

import { PRIORITIES, type Priority } from '../../shared/contract/index.js';
import { abortError, at, deferred, onAbort, pause, throwIfAborted } from '../../shared/foundation/index.js';
import { paddedSize, type NetworkRow } from '../../shared/sampler/index.js';
import type { RepeatedSpans } from '../../shared/tracing/index.js';
import type { PassGate } from './pass-gate.js';
import { beginPassSpans, type AtTimestep } from './pass-spans.js';
import { lanes, higherThan, weightedTurns, type Owner } from './priorities.js';

/** One forward pass: an output for each row, in their order. */
export type RunPass<Row, Output> = (rows: readonly Row[]) => Promise<readonly Output[]>;

export interface RowOptions {
  /** Whose turn it takes. */
  readonly owner: Owner;
  /** Takes the row out of the queue; other rows are not affected. */
  readonly signal: AbortSignal;
  /** Of the call: takes the pass that computes the row. */
  readonly passes?: RepeatedSpans | undefined;
  /** Called when a pass takes the row in. */
  readonly onStart?: () => void;
}

/**
 * The answer to one row.
 *
 * @throws the signal's reason; whatever the pass threw, for all its rows.
 */
export type AskRow<Row, Output> = (row: Row, options: RowOptions) => Promise<Output>;

/** What the network predicts. */
export type PredictRow = AskRow<NetworkRow, Float32Array>;

/** What a pass gives for a row: `length` values that its solver then computes with. */
interface Answer {
  readonly length: number;
}

interface Waiting<Row, Output> {
  readonly row: Row;
  readonly owner: Owner;
  readonly passes: RepeatedSpans | undefined;
  readonly onStart: (() => void) | undefined;
  readonly resolve: (output: Output) => void;
  readonly reject: (error: unknown) => void;
}

/** A row whose output its solver doesn't have yet. */
interface Computed<Row, Output> {
  readonly entry: Waiting<Row, Output>;
  readonly output: Output;
}

/**
 * How many values solvers work on in one turn of the event loop. This many take about ten milliseconds, during which
 * other calls and health checks wait.
 */
export const VALUES_A_TURN = 50_000;

/** How often a pass that other models hold up looks whether it may begin. */
const LOOK_EVERY_MS = 5;

/** What an aborted signal ends. */
const ROW = 'the evaluation of a row';

/**
 * Runs one pass at a time, whatever the timesteps and solvers of its rows.
 *
 * A pass belongs to the class whose turn it is, and is as large as the rows of that class need it. Rows of other classes
 * take only those places in it that would be computed for nothing: in a larger pass the first class would wait for them.
 *
 * @param batchSizes The sizes that passes have, rising; a pass of fewer rows is padded to the next of them.
 * @param gate Of several models; without one, passes begin whatever others compute.
 */
export function stepBatcher<Row extends AtTimestep = NetworkRow, Output extends Answer = Float32Array>(
  runPass: RunPass<Row, Output>,
  batchSizes: readonly number[],
  gate?: Pick<PassGate, 'mayBegin' | 'begin'>,
): AskRow<Row, Output> {
  const maxRows = at(batchSizes, batchSizes.length - 1);
  const waiting = lanes<Waiting<Row, Output>>();
  const turns = weightedTurns();
  let running = false;

  async function predict(row: Row, { owner, signal, passes, onStart }: RowOptions): Promise<Output> {
    throwIfAborted(signal, ROW);
    const { promise, resolve, reject } = deferred<Output>();
    const entry = { row, owner, passes, onStart, resolve, reject };
    const lane = waiting[owner.priority];
    const stopListening = onAbort(signal, () => {
      lane.delete(entry);
      reject(abortError(signal, ROW));
    });
    lane.add(entry);
    void runPasses();
    try {
      return await promise;
    } finally {
      stopListening();
    }
  }

  async function runPasses(): Promise<void> {
    if (running) return;
    running = true;
    let computed: readonly Computed<Row, Output>[] = [];
    for (;;) {
      await setImmediate();
      const first = computed.filter(mayJoinNext);
      const later = computed.filter((each) => !first.includes(each));
      await answer(first);
      await untilMayBegin();
      const pass = nextPass();
      if (pass.length === 0 && later.length === 0) break;
      [computed] = await Promise.all([compute(pass), answer(later)]);
    }
    running = false;
  }

  /**
   * Whether the next row of a solver could be in the next pass, which then waits until the solver has asked for it. The
   * other solvers compute while the pass runs.
   */
  function mayJoinNext({ entry: { owner } }: Computed<Row, Output>): boolean {
    if (higherThan(owner.priority).some((priority) => waiting[priority].size > 0)) return false;
    const { size, calls, hasOf } = waiting[owner.priority];
    // A call has its turn in a full pass as long as it has a row there, and fewer calls wait than there are places.
    return size < maxRows || (calls < maxRows && !hasOf(owner.call));
  }

  /** The classes that wait, the one whose turn it is first. */
  function inTurn(): Priority[] {
    return turns.order(PRIORITIES.filter((priority) => waiting[priority].size > 0));
  }

  async function untilMayBegin(): Promise<void> {
    for (let [first] = inTurn(); first !== undefined && gate?.mayBegin(first) === false; [first] = inTurn())
      await pause(LOOK_EVERY_MS);
  }

  /** Takes out the rows of the next pass. */
  function nextPass(): Waiting<Row, Output>[] {
    const [first, ...others] = inTurn();
    if (first === undefined) return [];
    const pass = taken([first], maxRows);
    const size = paddedSize(pass.length, batchSizes);
    turns.charge(first, size);
    return [...pass, ...taken(others, size - pass.length)];
  }

  function taken(priorities: readonly Priority[], most: number): Waiting<Row, Output>[] {
    const rows: Waiting<Row, Output>[] = [];
    for (const priority of priorities)
      for (let row; rows.length < most && (row = waiting[priority].take()) !== undefined;) rows.push(row);
    return rows;
  }

  /** Where the pass fails, its rows do, and nothing was computed. */
  async function compute(pass: readonly Waiting<Row, Output>[]): Promise<Computed<Row, Output>[]> {
    if (pass.length === 0) return [];
    for (const { onStart } of pass) onStart?.();
    const end = gate?.begin(at(pass, 0).owner.priority, pass.length);
    const endSpans = beginPassSpans(pass);
    try {
      const outputs = await runPass(pass.map(({ row }) => row));
      return pass.map((entry, i) => ({ entry, output: at(outputs, i) }));
    } catch (error) {
      for (const { reject } of pass) reject(error);
      return [];
    } finally {
      end?.();
      endSpans();
    }
  }

  return predict;
}

/** Resolves when every answered solver that has further steps has asked for its next row. */
async function answer<Row, Output extends Answer>(computed: readonly Computed<Row, Output>[]): Promise<void> {
  if (computed.length === 0) return;
  let values = 0;
  for (const { entry, output } of computed) {
    entry.resolve(output);
    // A solver computes as soon as it is answered.
    values += output.length;
    if (values >= VALUES_A_TURN) {
      values = 0;
      await setImmediate();
    }
  }
  await setImmediate();
}
