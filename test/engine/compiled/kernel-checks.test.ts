/** That the kernels refuse what doesn't fit, whatever let it pass: by an error, and with all memory as it was. */
import test from 'ava';

import { createBuilder } from '../../../shared/engine/compiled/builder.js';
import { nativeKernels } from '../../../shared/engine/compiled/index.js';
import { openSession } from '../../../shared/engine/compiled/session.js';
import { adam, lanes, run } from './one-node.js';
import { wrongBlocks, wrongUpdates } from './wrong-blocks.js';
import { wrongConvolutions } from './wrong-convolutions.js';

for (const { title, refusal, ...node } of [...wrongConvolutions, ...wrongBlocks, ...wrongUpdates]) {
  test(`${node.op} refuses ${title}`, async (t) => {
    const error = await t.throwsAsync(run(node));
    t.regex(error.message, refusal);
  });
}

test('an input of another type is refused before a kernel sees it', async (t) => {
  const builder = createBuilder('');
  const x = builder.one('Fill', [builder.integers([4]), builder.integers(1)]);
  const inputs = [x.ref];
  const node = {
    name: 'tried',
    op: 'NativeSumOfSquares',
    inputs,
    controlInputs: [],
    attributes: {},
    outputs: [],
  };
  const session = openSession();
  t.throws(() => {
    session.extend(new Map([...builder.graph, ['tried', node]]));
  });
  await Promise.resolve();
  session.close();
});

test('Adam moves the EMA weights of every rate', async (t) => {
  const inputs = [[], [3 + 20], [8], [8], [8], [8], ...Array.from({ length: 20 }, () => [8])];
  await t.notThrowsAsync(run({ op: 'NativeAdam', inputs, attributes: adam(20) }));
});

test('Adam refuses variables that share memory', async (t) => {
  const builder = createBuilder('');
  const at = (value: number, shape: readonly number[]) =>
    builder.one('Fill', [builder.integers(shape), builder.float(value)]);
  const shared = at(3, [8]);
  const inputs = [at(1, []), at(2, [3]), at(4, [8]), shared, shared, at(5, [8])].map(({ ref }) => ref);
  const node = {
    name: 'tried',
    op: 'NativeAdam',
    inputs,
    controlInputs: [],
    attributes: adam(0),
    outputs: [],
  };
  const session = openSession();
  session.extend(new Map([...builder.graph, ['tried', node]]));
  await t.throwsAsync(session.prepare([], [], ['tried'])([]), { message: /memory of their own/ });
  session.close();
});

test('what fits is computed', async (t) => {
  t.not(nativeKernels(), undefined, 'set-up compiles the kernels; without them this file tests nothing');
  const [first] = await run({
    op: 'NativeConv3x3',
    inputs: [
      [2, 5, 7, lanes],
      [3, 3, lanes, lanes],
    ],
  });
  // Four of the window's nine pixels are inside of the image.
  t.is(first, 4 * lanes * 0.5 * 1.5);
});
