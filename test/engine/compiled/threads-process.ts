/** Prints a hash of what the kernels give for the presets' layers, one a line; TF_NUM_INTRAOP_THREADS says on how many threads. */
import { createHash } from 'node:crypto';

import { createBuilder } from '../../../shared/engine/compiled/builder.js';
import type { Builder } from '../../../shared/engine/compiled/builder.js';
import type { Value } from '../../../shared/engine/compiled/graph.js';
import { openSession } from '../../../shared/engine/compiled/session.js';
import { createCompiledEngine } from '../../../shared/engine/index.js';
import type { EnginePrecision } from '../../../shared/engine/index.js';
import { kernelsGraph } from './convolution-graph.js';
import type { OutputsOfGraph } from './convolution-graph.js';
import { presetLayers } from './preset-layers.js';
import type { AttentionLayer, NormLayer } from './preset-layers.js';
import { isExhaustive, sizesOf, WIDEST } from './preset-sizes.js';

const IMAGES = 3;
const GROUPS = 32;

/** `npm test` takes one in 24. */
const some = <T>(layers: readonly T[]): readonly T[] =>
  isExhaustive ? layers : layers.filter((_, i) => i % 24 === 0);

function built(
  build: (builder: Builder, draw: (...shape: number[]) => Value) => readonly Value[],
): OutputsOfGraph {
  const builder = createBuilder('');
  let seed = 0;
  const draw = (...shape: number[]): Value => {
    const inputs = [builder.integers(shape), builder.integers([seed++, 5])];
    return builder.one('StatelessRandomNormal', inputs, { dtype: { dtype: 'float32' } });
  };
  const outputs = build(builder, draw);
  return { graph: builder.graph, outputs };
}

const normGraph = ({ channels, width, silu, perImage }: NormLayer): OutputsOfGraph =>
  built((builder, draw) => {
    const op = `NativeGroupNorm${silu ? 'Silu' : ''}`;
    const rows = perImage ? IMAGES : 1;
    const [x, gain, offset] = [
      draw(IMAGES, width, width, channels),
      draw(rows, channels),
      draw(rows, channels),
    ];
    const attributes = { count: { int: GROUPS } };
    const [y, ...statistics] = builder.add(op, [x, gain, offset], attributes);
    const inputs = [x, gain, offset, ...statistics, draw(...x.shape)];
    return [y ?? x, ...builder.add(`${op}Gradient`, inputs, attributes)];
  });

const attentionGraph = (
  { pixels, channels, heads }: AttentionLayer,
  precision: EnginePrecision,
): OutputsOfGraph =>
  built((builder, draw) => {
    const [qkv, dy] = [draw(IMAGES, pixels, 3 * channels), draw(IMAGES, pixels, channels)];
    const low = { low_precision: { bool: precision === 'bfloat16' } };
    const attributes = { ...low, count: { int: heads }, parts_first: { bool: true } };
    return [
      builder.one('NativeAttention', [qkv], attributes),
      builder.one('NativeAttentionGradient', [qkv, dy], attributes),
    ];
  });

const sumGraph = (): OutputsOfGraph =>
  built((builder, draw) => [builder.one('NativeSumOfSquares', [draw(1_000_003)])]);

await createCompiledEngine();
const { convolutions, norms, attentions } = presetLayers();
const layers = some(convolutions).flatMap(sizesOf);
const graphs = [
  ...WIDEST.flatMap(sizesOf).map((size) => () => kernelsGraph(size, 'float32')),
  ...(['float32', 'bfloat16'] as const).flatMap((precision) => [
    ...layers.map((size) => () => kernelsGraph(size, precision)),
    ...some(attentions).map((layer) => () => attentionGraph(layer, precision)),
  ]),
];
for (const graphOf of [...graphs, ...some(norms).map((layer) => () => normGraph(layer)), sumGraph]) {
  const { graph, outputs } = graphOf();
  const session = openSession();
  session.extend(graph);
  const hash = createHash('sha256');
  for (const values of await session.prepare([], outputs, [])([])) hash.update(values);
  session.close();
  console.log(hash.digest('hex'));
}
