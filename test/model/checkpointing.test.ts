/** That gradient checkpointing changes no result. */
import test from 'ava';

import { lossAndGradients } from '../../shared/training/training-step.js';
import { functionGraph } from '../../shared/engine/compiled/function-graph.js';
import { parseRef } from '../../shared/engine/compiled/graph.js';
import { passed } from '../../shared/engine/compiled/passes.js';
import { createCompiledEngine, createEagerEngine, tf } from '../../shared/engine/index.js';
import type { EngineModule, ModuleFunction } from '../../shared/engine/index.js';
import {
  dropoutLayerCount,
  initialParameters,
  parameterSpecs,
  toEngineLayout,
} from '../../shared/model/index.js';
import type { UNetConfig } from '../../shared/model/index.js';
import { makeBetas, trainingProcess } from '../../shared/noise/index.js';

const NETWORK: UNetConfig = {
  ...{ imageSize: 8, inChannels: 3, outChannels: 6, modelChannels: 32, numResBlocks: 1, channelMult: [1, 2] },
  ...{ attentionResolutions: [4], dropout: 0.2, numHeads: 1, numHeadChannels: 32, useScaleShiftNorm: true },
  ...{ resblockUpdown: true, convResample: true, useNewAttentionOrder: true },
};

function module(gradientCheckpointing: boolean): EngineModule {
  const specs = parameterSpecs(NETWORK);
  return {
    variables: specs.map(({ name, engineShape }) => ({ name: `weights/${name}`, shape: engineShape })),
    functions: {
      gradients: {
        inputs: { keys: { shape: [dropoutLayerCount(NETWORK), 2], dtype: 'int32' } },
        body: ({ keys }, variables) => {
          const image = (scale: number) =>
            tf.tensor(
              Float32Array.from({ length: 2 * 8 * 8 * 3 }, (_, i) => Math.cos(scale * i)),
              [2, 8, 8, 3],
            );
          const { values, gradients } = lossAndGradients(
            {
              architecture: NETWORK,
              objective: {
                meanType: 'epsilon',
                varianceType: 'learned_range',
                lossType: 'mse',
                target: 'epsilon',
              },
              ...trainingProcess(makeBetas({ name: 'cosine', timesteps: 100 })),
              emaRates: [],
              optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
              gradientCheckpointing,
            },
            variables,
            {
              xStart: image(0.1),
              t: tf.tensor1d([20, 70], 'int32'),
              lossWeights: tf.ones([2]),
              epsilon: image(0.7),
              xi: image(1.3),
              gamma: tf.tensor1d([0.1, 0.1]),
              dropout: { keys: keys as tf.Tensor },
            },
          );
          return { outputs: { loss: values.loss, ...gradients } };
        },
      },
    },
  };
}

test('checkpointing keeps no mask of dropout: each is made again where its block is computed again', async (t) => {
  await createCompiledEngine();
  const counts = [false, true].map((checkpointing) => {
    const { functions, variables } = module(checkpointing);
    const { graph, inputs, outputs } = functionGraph(
      'gradients',
      functions['gradients'] as ModuleFunction,
      variables,
    );
    const ends = [...Object.values(inputs), ...Object.values(outputs)].map(({ ref }) => parseRef(ref).node);
    const nodes = [...passed(graph, new Set(ends)).values()];
    return nodes.filter(({ op }) => op === 'StatelessRandomUniform').length;
  });
  const layers = dropoutLayerCount(NETWORK);
  t.deepEqual(counts, [layers, 2 * layers]);
});

for (const create of [createEagerEngine, createCompiledEngine]) {
  test(`checkpointing changes no bit of the loss, and of its gradients the rounding: ${create.name}`, async (t) => {
    const engine = await create();
    const results = [];
    for (const checkpointing of [false, true]) {
      const loaded = await engine.load(module(checkpointing));
      const initial = initialParameters(NETWORK, 3n);
      const values = parameterSpecs(NETWORK).map((spec) => {
        // Not the zeros that some layers start with, behind which there would be no gradient.
        const value = toEngineLayout(spec, initial.get(spec.name) ?? new Float32Array()).map(
          (each, i) => each + 0.02 * Math.sin(i),
        );
        return [`weights/${spec.name}`, value] as const;
      });
      await loaded.assign(new Map(values));
      const keys = Int32Array.from({ length: 2 * dropoutLayerCount(NETWORK) }, (_, i) => i);
      results.push(await loaded.run('gradients', { keys }));
      await loaded.dispose();
    }
    const [kept, recomputed] = results;
    t.true((kept?.['loss']?.[0] ?? 0) > 0);
    t.deepEqual(recomputed?.['loss'], kept?.['loss']);
    // Gradients that meet are added in another order. Some of them are 0 but for rounding, so all have one scale.
    const all = Object.values(kept ?? {}).flatMap((values) => [...values]);
    const largest = all.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [name, values] of Object.entries(kept ?? {})) {
      const off = values.reduce(
        (most, value, i) => Math.max(most, Math.abs(value - (recomputed?.[name]?.[i] ?? NaN))),
        0,
      );
      t.true(off <= 1e-6 * largest, `${name}: off by ${off / largest}`);
    }
  });
}
