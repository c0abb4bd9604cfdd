/** Functions in which another node could see what Adam writes in place are refused. */
import test from 'ava';

import { nativeKernels } from '../../../shared/engine/compiled/index.js';
import { tf } from '../../../shared/engine/index.js';
import type { EngineModule, FunctionResult, LoadedModule, Tensors } from '../../../shared/engine/index.js';
import { compiled } from './both.js';

const NAMES = ['w', 'm', 'v', 'average', 'other'];
const SHAPE = [4, 2];

type Body = (variables: Record<string, tf.Tensor>) => FunctionResult;

/** An update of `w` by Adam with a gradient of ones. */
const adam = (
  over: { gradient?: tf.Tensor; ema?: readonly string[] } = {},
): NonNullable<FunctionResult['adam']> => {
  const { gradient = tf.ones(SHAPE), ema = ['average'] } = over;
  return {
    ...{ beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    rates: tf.ones([3 + ema.length]),
    of: [{ parameter: 'w', m: 'm', v: 'v', ema, gradient }],
  };
};

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
  use: (loaded: LoadedModule) => Promise<T>,
): Promise<T> {
  const loaded = await compiled.load(moduleOf(bodies));
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
    ({ w }) => ({ outputs: { w: w as tf.Tensor }, adam: adam() }),
    /w.* result/,
  ],
  [
    'a result is the parameter in another shape',
    ({ w }) => ({ outputs: { w: tf.reshape(w as tf.Tensor, [8]) }, adam: adam() }),
    /w.* result/,
  ],
  [
    'a result is an average times one',
    ({ average }) => ({ outputs: { average: tf.mul(average as tf.Tensor, 1) }, adam: adam() }),
    /average.* result/,
  ],
  [
    'a result is a row of a moment',
    ({ m }) => ({ outputs: { row: tf.slice(m as tf.Tensor, [0, 0], [1, 2]) }, adam: adam() }),
    /m.* result/,
  ],
  [
    'another variable becomes the parameter as read',
    ({ w }) => ({ outputs: {}, updates: { other: w as tf.Tensor }, adam: adam() }),
    /w.* used by body.(updates.other|Switch)/,
  ],
  [
    'another variable becomes the parameter where updates are committed',
    ({ w }) => ({ outputs: {}, updates: { other: w as tf.Tensor }, adam: adam(), commit: tf.scalar(1) }),
    /w.* used by body.(updates.other|Switch)/,
  ],
  [
    'the parameter is stored, too',
    ({ w }) => ({ outputs: {}, updates: { w: tf.add(w as tf.Tensor, 1) }, adam: adam() }),
    /w.* stored/,
  ],
  [
    'the gradient of an Adam update is a variable that is written',
    ({ v }) => ({ outputs: {}, adam: adam({ gradient: v as tf.Tensor }) }),
    /v.* gradient/,
  ],
  ['an average is the parameter', () => ({ outputs: {}, adam: adam({ ema: ['w'] }) }), /w.* twice/],
  [
    'two updates have one parameter',
    () => {
      const one = adam();
      return { outputs: {}, adam: { ...one, of: [...one.of, ...one.of] } };
    },
    /w.* twice/,
  ],
];

for (const [title, body, refusal] of REFUSED) {
  test.serial(`a function is refused in which ${title}`, async (t) => {
    t.not(nativeKernels(), undefined, 'there are no kernels: this file tests nothing');
    const error = await t.throwsAsync(using({ body }, (loaded) => loaded.run('body', {})));
    t.regex(error.message, refusal);
  });
}

test.serial('what is computed of variables before they are written is as it was before', async (t) => {
  const body: Body = ({ w, m }) => ({
    outputs: { w: tf.add(w as tf.Tensor, 1), norm: tf.sum(tf.square(m as tf.Tensor)) },
    updates: { other: tf.mul(w as tf.Tensor, 3) },
    adam: adam(),
    commit: tf.cast(tf.greater(tf.sum(w as tf.Tensor), 0), 'float32'),
  });
  await using({ body }, async (loaded) => {
    const { w, norm } = await loaded.run('body', {});
    t.deepEqual(w, new Float32Array(8).fill(2));
    t.deepEqual(norm, Float32Array.of(32));
    const after = await loaded.read(['w', 'other']);
    t.deepEqual(after.get('other'), new Float32Array(8).fill(3));
    t.not(after.get('w')?.[0], 1);
  });
});

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
      const training: Body = () => ({ outputs: {}, adam: adam() });
      await using({ training, storing }, async (loaded) => {
        await loaded.run(order[0], {});
        await t.throwsAsync(loaded.run(order[1], {}), {
          message: /(w|average) is written in place, and/,
        });
      });
    });
  }
}
