/** Functions in which another node could see what Adam writes in place are refused. */
import test from 'ava';

import { nativeKernels } from '../../../shared/engine/compiled/index.js';
import { adamW, tf } from '../../../shared/engine/index.js';
import type {
  AdamWState,
  Engine,
  EngineModule,
  FunctionResult,
  LoadedModule,
  Tensors,
} from '../../../shared/engine/index.js';
import { compiled, eager } from './both.js';

const NAMES = ['w', 'm', 'v', 'average', 'other'];
const SHAPE = [4, 2];

type Body = (variables: Record<string, tf.Tensor>) => FunctionResult;

/** An update of `w` by AdamW with a gradient of ones: the new values of w, m, v and average. */
function adam(
  variables: Record<string, tf.Tensor>,
  over: { gradient?: tf.Tensor; average?: string } = {},
): Tensors {
  const { gradient = tf.ones(SHAPE), average = 'average' } = over;
  const [w, m, v, ema] = ['w', 'm', 'v', average].map((name) => variables[name] as tf.Tensor) as Four;
  const config = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  const given = { gradient, parameter: w, m, v, ema: [ema] };
  const [next] = adamW(config, tf.tensor1d([1, 0.5, 1, 0.25]), [given]) as [AdamWState];
  return { w: next.parameter, m: next.m, v: next.v, average: next.ema[0] as tf.Tensor };
}

type Four = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

function moduleOf(bodies: Readonly<Record<string, Body>>): EngineModule {
  return {
    variables: NAMES.map((name) => ({ name, shape: SHAPE })),
    functions: Object.fromEntries(
      Object.entries(bodies).map(([name, body]) => [
        name,
        {
          inputs: {},
          body: (_: Tensors, variables: Tensors) => body(variables),
        },
      ]),
    ),
  };
}

async function using<T>(
  bodies: Readonly<Record<string, Body>>,
  engine: Engine,
  use: (loaded: LoadedModule) => Promise<T>,
): Promise<T> {
  const loaded = await engine.load(moduleOf(bodies));
  await loaded.assign(new Map(NAMES.map((name, i) => [name, new Float32Array(8).fill(i + 1)])));
  try {
    return await use(loaded);
  } finally {
    await loaded.dispose();
  }
}

const REFUSED: readonly (readonly [title: string, body: Body, refusal: RegExp])[] = [
  [
    'a result is the parameter as read',
    (all) => ({ outputs: { w: all['w'] as tf.Tensor }, updates: adam(all) }),
    /w.* result/,
  ],
  [
    'a result is the parameter in another shape',
    (all) => ({ outputs: { w: tf.reshape(all['w'] as tf.Tensor, [8]) }, updates: adam(all) }),
    /w.* result/,
  ],
  [
    'a result is an average times one',
    (all) => ({ outputs: { average: tf.mul(all['average'] as tf.Tensor, 1) }, updates: adam(all) }),
    /average.* result/,
  ],
  [
    'a result is a row of a moment',
    (all) => ({ outputs: { row: tf.slice(all['m'] as tf.Tensor, [0, 0], [1, 2]) }, updates: adam(all) }),
    /m.* result/,
  ],
  [
    'another variable becomes the parameter as read',
    (all) => ({ outputs: {}, updates: { ...adam(all), other: all['w'] as tf.Tensor } }),
    /w.* used by body.(updates.other|Switch)/,
  ],
  [
    'another variable becomes the parameter where updates are committed',
    (all) => ({ outputs: {}, updates: { ...adam(all), other: all['w'] as tf.Tensor }, commit: tf.scalar(1) }),
    /w.* used by body.(updates.other|Switch)/,
  ],
  [
    'the gradient of an update is a variable that is written',
    (all) => ({ outputs: {}, updates: adam(all, { gradient: all['v'] as tf.Tensor }) }),
    /v.* gradient/,
  ],
];

for (const [title, body, refusal] of REFUSED) {
  test.serial(`a function is refused in which ${title}`, async (t) => {
    t.not(nativeKernels(), undefined, 'there are no kernels: this file tests nothing');
    const error = await t.throwsAsync(using({ body }, compiled, (loaded) => loaded.run('body', {})));
    t.regex(error.message, refusal);
  });
}

test.serial('what is computed of variables before they are written is as it was before', async (t) => {
  const body: Body = (all) => {
    const { w, m } = all as Record<'w' | 'm', tf.Tensor>;
    return {
      outputs: { w: tf.add(w, 1), norm: tf.sum(tf.square(m)) },
      updates: { ...adam(all), other: tf.mul(w, 3) },
      commit: tf.cast(tf.greater(tf.sum(w), 0), 'float32'),
    };
  };
  await using({ body }, compiled, async (loaded) => {
    const { w, norm } = await loaded.run('body', {});
    t.deepEqual(w, new Float32Array(8).fill(2));
    t.deepEqual(norm, Float32Array.of(32));
    const after = await loaded.read(['w', 'other']);
    t.deepEqual(after.get('other'), new Float32Array(8).fill(3));
    t.not(after.get('w')?.[0], 1);
  });
});

const ORDINARY: readonly (readonly [title: string, body: Body])[] = [
  ['is stored in another variable', (all) => ({ outputs: {}, updates: swapped(adam(all)) })],
  ['is a result, too', (all) => resulting(adam(all))],
  ['is not stored', (all) => ({ outputs: {}, updates: { w: adam(all)['w'] as tf.Tensor } })],
  [
    'moves the EMA weights of another variable',
    (all) => ({ outputs: {}, updates: adam(all, { average: 'other' }) }),
  ],
  [
    'is stored as changed once more',
    (all) => ({ outputs: {}, updates: { ...adam(all), w: tf.mul(adam(all)['w'] as tf.Tensor, 2) } }),
  ],
];

const swapped = ({ m, v, ...others }: Tensors): Tensors => ({ ...others, m: v, v: m }) as Tensors;
const resulting = (next: Tensors): FunctionResult => ({
  outputs: { w: tf.mul(next['w'] as tf.Tensor, 1) },
  updates: next,
});

for (const [title, body] of ORDINARY) {
  test.serial(`an update is computed as any other where a new value ${title}`, async (t) => {
    const results: Map<string, Float32Array>[] = [];
    for (const engine of [eager, compiled]) {
      await using({ body }, engine, async (loaded) => {
        const outputs = await loaded.run('body', {});
        results.push(new Map([...Object.entries(outputs), ...(await loaded.read(NAMES))]));
      });
    }
    t.deepEqual(results[1], results[0]);
  });
}

// A variable that was stored may lie where another does, or a constant, whichever function stored it.
const STORING: readonly (readonly [title: string, body: Body])[] = [
  ['stores what another writes', () => ({ outputs: {}, updates: { w: tf.zeros(SHAPE) } })],
  [
    'stores elsewhere what another writes',
    ({ average }) => ({ outputs: {}, updates: { other: average as tf.Tensor } }),
  ],
];

for (const [title, storing] of STORING) {
  for (const order of [
    ['training', 'storing'],
    ['storing', 'training'],
  ] as const) {
    test.serial(`a function is refused that ${title} in place: ${order[1]} after ${order[0]}`, async (t) => {
      const training: Body = (all) => ({ outputs: {}, updates: adam(all) });
      await using({ training, storing }, compiled, async (loaded) => {
        await loaded.run(order[0], {});
        await t.throwsAsync(loaded.run(order[1], {}), {
          message: /(w|average) is written in place, and/,
        });
      });
    });
  }
}
