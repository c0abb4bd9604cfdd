/** Prints, for each precision, hashes of predictions with and without what follows from the weights taken out. */
import { createHash } from 'node:crypto';

import { predictionModule } from '../../../services/sampler/engine-process/prediction-module.js';
import { derivedVariables } from '../../../shared/engine/compiled/derived-variables.js';
import { finished, unhoisted } from '../../../shared/engine/compiled/finishing.js';
import { functionGraph } from '../../../shared/engine/compiled/function-graph.js';
import { parseRef } from '../../../shared/engine/compiled/graph.js';
import { createCompiledEngine } from '../../../shared/engine/index.js';
import type { EngineModule } from '../../../shared/engine/index.js';
import { deriveKey, gaussian } from '../../../shared/random/index.js';
import { openModuleSession } from './module-session.js';
import { NETWORK, parameters } from './training.js';

const SIZES = [1, 3];
// Loads TensorFlow and tfjs's gradients.
await createCompiledEngine();

/** A hash of all results, and how many nodes are left in a function. */
async function predictions(
  module: EngineModule,
  hoisting: boolean,
): Promise<{ hash: string; nodes: number }> {
  const { session, assign } = await openModuleSession(module);
  const derived = derivedVariables(session);
  let nodes = 0;
  const functions = SIZES.map((size) => {
    const name = `predict_${size}`;
    const called = module.functions[name] ?? { inputs: {}, body: () => ({ outputs: {} }) };
    const { graph, inputs, outputs } = functionGraph(name, called, module.variables);
    const ends = [...Object.values(inputs), ...Object.values(outputs)];
    const kept = new Set(ends.map(({ ref }) => parseRef(ref).node));
    const whole = unhoisted(graph, kept, module);
    const hoist = finished(graph, kept, module, `${name}/derived/`);
    if (hoisting) derived.provide(hoist);
    const used = hoisting ? hoist.graph : whole;
    nodes = [...used.values()].filter(({ op }) => !/Variable|VarHandle|Const/.test(op)).length;
    session.extend(used);
    const xT = gaussian(deriveKey(5n, 'x'), [], size * NETWORK.imageSize ** 2 * NETWORK.inChannels);
    const arrays = { xT, t: new Float32Array(size).fill(7), y: new Int32Array(size) };
    const given = Object.keys(inputs).map((input) => arrays[input as keyof typeof arrays]);
    const run = session.prepare(Object.values(inputs), Object.values(outputs), []);
    return () => run(given);
  });
  const hash = createHash('sha256');
  for (const scale of [1, 0.5]) {
    for (const [name, values] of parameters(NETWORK)) {
      await assign(
        name,
        values.map((value) => value * scale),
      );
    }
    derived.outdate();
    await derived.refresh();
    for (const run of functions) for (const values of await run()) hash.update(values);
  }
  session.close();
  return { hash: hash.digest('hex'), nodes };
}

const results = [];
for (const precision of ['float32', 'bfloat16'] as const) {
  const module = predictionModule(NETWORK, SIZES, precision);
  results.push({
    precision,
    hoisted: await predictions(module, true),
    plain: await predictions(module, false),
  });
}
console.log(JSON.stringify(results));
