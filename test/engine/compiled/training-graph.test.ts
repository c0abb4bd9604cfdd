/** The graph of a small training step: its print is a golden file, and every pass over it preserves results. */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import test from 'ava';

import { trainingModule } from '../../../shared/training/training-module.js';
import { withBfloat16 } from '../../../shared/engine/compiled/bfloat16.js';
import { checkGraph } from '../../../shared/engine/compiled/check.js';
import { functionGraph } from '../../../shared/engine/compiled/function-graph.js';
import { parseRef } from '../../../shared/engine/compiled/graph.js';
import type { Graph } from '../../../shared/engine/compiled/graph.js';
import { nativeKernels } from '../../../shared/engine/compiled/index.js';
import { lowered } from '../../../shared/engine/compiled/lowering.js';
import { withNativeConvolutions } from '../../../shared/engine/compiled/native-convolutions.js';
import { passed, PASSES } from '../../../shared/engine/compiled/passes.js';
import type { Pass } from '../../../shared/engine/compiled/passes.js';
import { withUpdatesInPlace } from '../../../shared/engine/compiled/updates-in-place.js';
import { relativeDifference } from './both.js';
import { openModuleSession } from './module-session.js';
import { printed } from './printed.js';
import { batch, NETWORK, parameters, rates, training } from './training.js';

const SNAPSHOT = fileURLToPath(new URL('snapshots/training-step.txt', import.meta.url));
const SMALL = { ...NETWORK, channelMult: [1], attentionResolutions: [8] };
const module = trainingModule(training(SMALL, 1));
const step = module.functions['trainStep'] ?? { inputs: {}, body: () => ({ outputs: {} }) };
const traced = functionGraph('trainStep', step, module.variables);
// Without kernels of a machine's own.
const plain = lowered(traced.graph, 'tensorflow');
const kept = new Set(
  [...Object.values(traced.inputs), ...Object.values(traced.outputs)]
    .map(({ ref }) => parseRef(ref).node)
    .concat(traced.update ?? []),
);

test('the printed graph of a small training step is as it was', async (t) => {
  const text = printed(passed(traced.graph, kept));
  // Set the variable to write down a change that was meant.
  if (process.env['UPDATE_SNAPSHOT'] !== undefined) await writeFile(SNAPSHOT, text);
  t.is(text, await readFile(SNAPSHOT, 'utf8'));
});

async function results(graph: Graph): Promise<Float32Array[]> {
  const { session, assign } = await openModuleSession(module);
  for (const prefix of ['weights/', 'ema_0.999/']) {
    for (const [name, values] of parameters(SMALL, prefix)) await assign(name, values);
  }
  checkGraph(graph);
  session.extend(graph);
  const arrays = { ...batch(SMALL, 0), ...rates(0) };
  const given = Object.keys(traced.inputs).map((name) => arrays[name] ?? new Float32Array());
  const outputs = Object.values(traced.outputs);
  const values = await session.prepare(Object.values(traced.inputs), outputs, [])(given);
  session.close();
  return values;
}

const kernels = nativeKernels();
const native: Pass = (graph) =>
  kernels === undefined ? graph : withNativeConvolutions(graph, kernels, 'float32');
// Half a unit in the last place of the products' 8 bits, through a network and back.
const tolerances: readonly (readonly [name: string, pass: Pass, tolerance: number])[] = [
  ...PASSES.map((pass) => [pass.name, pass, pass.name === 'withFusedBias' ? 1e-6 : 0] as const),
  ['withNativeConvolutions', native, 1e-5],
  ['withBfloat16', withBfloat16, 0.1],
  ['withUpdatesInPlace', () => lowered(withUpdatesInPlace(traced.graph), 'tensorflow'), 0],
  ['lowered with kernels', () => lowered(traced.graph, kernels ?? 'tensorflow'), 1e-5],
];

const unchanged = results(plain);

for (const [name, pass, tolerance] of tolerances) {
  test(`${name} preserves the results of a training step`, async (t) => {
    const wanted = await unchanged;
    const got = await results(pass(plain, kept));
    Object.keys(traced.outputs).forEach((output, i) => {
      const difference = relativeDifference(got[i] ?? new Float32Array(), wanted[i] ?? new Float32Array());
      t.true(difference <= tolerance, `${output}: off by ${difference}`);
    });
  });
}
