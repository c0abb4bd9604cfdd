/** What holds for the loaded models in any order of calls, loads and closings. */

import { setImmediate } from 'node:timers/promises';

import test from 'ava';
import fc from 'fast-check';

import type { EngineSource } from '../../services/sampler/engine-process/messages.js';
import type { LoadedModel } from '../../services/sampler/loaded-model.js';
import { loadedModels, type Lease, type Wanted } from '../../services/sampler/loaded-models.js';
import { deferred, DiffusionError } from '../../shared/foundation/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';

const recipe = resolveRecipe({}, 'tiny');

interface Engine {
  readonly key: string;
  readonly units: number;
  readonly finishLoad: (error?: Error) => void;
  readonly finishEnd: () => void;
  state: 'loading' | 'loaded' | 'ending' | 'gone';
}

interface Call {
  readonly key: string;
  readonly cancel: () => void;
  lease?: Lease;
  state: 'waiting' | 'leased' | 'over';
}

type Command =
  | { readonly do: 'call'; readonly model: number; readonly step: number; readonly wanted: Wanted }
  /** `which`: a number that picks one of those there are. */
  | { readonly do: 'cancel' | 'release' | 'load' | 'fail' | 'damage' | 'end'; readonly which: number };

const commands = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('call' as const),
        model: fc.nat(2),
        step: fc.nat(2),
        wanted: fc.constantFrom<Wanted>('exact', 'exact', 'newest', 'newest', 'loaded'),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constantFrom(
          'cancel',
          'release',
          'release',
          'load',
          'load',
          'load',
          'fail',
          'damage',
          'end',
          'end',
        ),
        which: fc.nat(),
      }),
    },
  ),
  { minLength: 20, maxLength: 80, size: 'max' },
);

/** The estimate for an engine without weights. */
const UNIT = 640 * 1024 ** 2;
/** Of model-0, model-1 and model-2, in units. */
const unitsOf = (model: string): number => 1 + Number(model.at(-1));

function world(capacity: number, units: number) {
  const engines: Engine[] = [];
  const calls: Call[] = [];
  const wrong: string[] = [];
  let isClosing = false;
  let nowMs = 0;
  const clock = { wallMs: () => 0, monotonicMs: () => nowMs };
  const models = loadedModels({ capacity, maxBytes: units * UNIT + 100, load, clock });
  const unitsIn = (...states: Engine['state'][]): number =>
    engines.filter(({ state }) => states.includes(state)).reduce((sum, engine) => sum + engine.units, 0);

  async function load({ commit }: EngineSource, ending: AbortSignal): Promise<LoadedModel> {
    const [loading, end] = [deferred(), deferred()];
    const predict = (): Promise<Float32Array> => Promise.resolve(new Float32Array(0));
    const engine: Engine = {
      key: `${commit.model}/${commit.step}`,
      units: unitsOf(commit.model),
      finishLoad: (error) => {
        if (error === undefined) loading.resolve();
        else loading.reject(error);
      },
      finishEnd: end.resolve,
      state: 'loading',
    };
    engines.push(engine);
    if (engines.filter(({ state }) => state !== 'gone').length > capacity + 1)
      wrong.push('more engines than places');
    if (unitsIn('loading', 'loaded', 'ending') > 2 * units) wrong.push('twice the memory is not enough');
    const close = async (): Promise<void> => {
      const loaded = engines.filter(({ state }) => state === 'loaded').length;
      if (!isClosing && loaded <= capacity && unitsIn('loaded') <= units)
        wrong.push('a model was ended that had a place');
      if (calls.some(({ lease, state }) => state === 'leased' && lease?.predict === predict))
        wrong.push('a model in use was ended');
      engine.state = 'ending';
      await end.promise;
      engine.state = 'gone';
    };
    const onAbort = (): void => {
      engine.state = 'ending';
      loading.reject(ending.reason);
    };
    ending.addEventListener('abort', onAbort);
    try {
      await loading.promise;
    } catch (error) {
      if (ending.aborted) await end.promise;
      engine.state = 'gone';
      throw error;
    } finally {
      ending.removeEventListener('abort', onAbort);
    }
    engine.state = 'loaded';
    return { predict, peakBytes: () => engine.units * UNIT, close };
  }

  function call(model: string, step: number, wanted: Wanted): void {
    const controller = new AbortController();
    const source: EngineSource = {
      commit: { job: `job-of-${model}`, model, step, attempt: 1 },
      object: {
        name: 'weights.safetensors',
        size: ((unitsOf(model) - 1) * UNIT) / 5,
        sha256: 'a'.repeat(64),
      },
      recipe,
      precision: 'float32',
      weights: 'raw',
    };
    const made: Call = {
      key: `${model}/${step}`,
      cancel: () => {
        controller.abort(new DiffusionError('CANCELLED', 'gone'));
      },
      state: 'waiting',
    };
    calls.push(made);
    models.acquire(source, wanted, controller.signal).then(
      (lease) => {
        made.lease = lease;
        made.state = 'leased';
      },
      (error: unknown) => {
        made.state = 'over';
        if (error instanceof DiffusionError && /nobody/.test(error.message))
          wrong.push('a load that a call waits for was ended');
      },
    );
  }

  function run(command: Command): void {
    // Now and then loads that failed are tried again.
    nowMs += 3000;
    if (command.do === 'call') {
      call(`model-${command.model}`, command.step, command.wanted);
      return;
    }
    const pick = <T>(among: T[]): T | undefined => among[command.which % among.length];
    const engine = (state: Engine['state']) => pick(engines.filter((of) => of.state === state));
    const callThatIs = (state: Call['state']) => pick(calls.filter((of) => of.state === state));
    switch (command.do) {
      case 'cancel':
        callThatIs('waiting')?.cancel();
        return;
      case 'release': {
        const leased = callThatIs('leased');
        if (leased !== undefined) leased.state = 'over';
        leased?.lease?.release();
        return;
      }
      case 'load':
        engine('loading')?.finishLoad();
        return;
      case 'fail':
        engine('loading')?.finishLoad(new DiffusionError('ENGINE_LOST', 'no store'));
        return;
      case 'damage':
        engine('loading')?.finishLoad(new DiffusionError('OBJECT_DAMAGED', 'a flipped bit'));
        return;
      case 'end':
        engine('ending')?.finishEnd();
    }
  }

  function check(): void {
    const isUnderWay = engines.some(({ state }) => state === 'loading' || state === 'ending');
    if (!isUnderWay && calls.some(({ state }) => state === 'waiting')) wrong.push('a call waits for nothing');
    const keys = engines.flatMap(({ state, key }) =>
      state === 'loading' || state === 'loaded' ? [key] : [],
    );
    if (new Set(keys).size < keys.length) wrong.push('a model was loaded twice');
    if (wrong.length > 0) throw new Error(wrong.join());
  }

  async function close(): Promise<void> {
    for (const { lease } of calls) lease?.release();
    for (const of of calls) of.state = 'over';
    isClosing = true;
    const closing = models.close();
    while (engines.some(({ state }) => state !== 'gone')) {
      for (const { finishEnd } of engines) finishEnd();
      await setImmediate();
    }
    await closing;
  }

  return { run, check, close };
}

test('never more engines than places, no lease of a closed model, no call that waits for nothing, and every call ends [fault 103, A6]', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 3, max: 7 }),
      commands,
      async (capacity, units, sequence) => {
        const { run, check, close } = world(capacity, units);
        for (const command of sequence) {
          run(command);
          await setImmediate();
          check();
        }
        await close();
      },
    ),
    { numRuns: 300 },
  );
  t.pass();
});
