/** The 3x3 convolutions at the channel counts and widths that the presets' networks have, against TensorFlow's own. */
import test from 'ava';

import { openSession } from '../../../shared/engine/compiled/session.js';
import type { EnginePrecision } from '../../../shared/engine/index.js';
import { compiled } from './both.js';
import { comparisonGraph, RESULTS } from './convolution-graph.js';
import type { Convolution } from './convolution-graph.js';
import { presetLayers } from './preset-layers.js';
import { isExhaustive, sizesOf, WIDEST } from './preset-sizes.js';

// Half a unit of bfloat16's 8 bits, a few times over: pairs are rounded after the transforms.
const TOLERANCES: Readonly<Record<EnginePrecision, number>> = { float32: 1e-5, bfloat16: 0.02 };

test('the presets have convolutions of many sizes', (t) => {
  t.true(compiled.batchInvariant, 'there are no kernels: this file tests nothing');
  t.true(presetLayers().convolutions.length > 50);
});

for (const [turn, precision] of (['float32', 'bfloat16'] as const).entries()) {
  // `npm test` takes every fourth layer in each precision, other ones in each.
  const layers = presetLayers().convolutions.filter((_, i) => isExhaustive || i % 4 === 2 * turn);
  // One after another: each takes all threads, and several at a time would hold the filters of all.
  for (const size of [...layers, ...WIDEST].flatMap(sizesOf)) {
    test.serial(`${precision}: ${inWords(size)} [fault A3]`, async (t) => {
      const { graph, outputs } = comparisonGraph(size, precision);
      const session = openSession();
      session.extend(graph);
      const differences = await session.prepare([], outputs, [])([]);
      session.close();
      RESULTS.forEach((result, i) => {
        const [difference = NaN] = differences[i] ?? [];
        t.true(difference <= TOLERANCES[precision], `${result}: off by ${difference}`);
      });
    });
  }
}

function inWords({ images, height, width, inChannels, outChannels }: Convolution): string {
  return `${images} images of ${height}x${width} from ${inChannels} to ${outChannels} channels`;
}
