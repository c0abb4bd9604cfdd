/** The engine process of one set of weights: loads them, then answers forward passes until its parent is gone. */

import {
  createEngine,
  overdueRun,
  type EngineBuild,
  type LoadedModule,
} from '../../../shared/engine/index.js';
import { at, deviceSettings } from '../../../shared/foundation/index.js';
import { connectToParent } from '../../../shared/processes/index.js';
import type { UNetConfig } from '../../../shared/model/index.js';
import { unetConfig } from '../../../shared/recipe/index.js';
import { loadWeights } from './load-weights.js';
import { engineProtocol, faultOf, type LoadMessage, type PredictMessage } from './messages.js';
import { predictionModule } from './prediction-module.js';

const parent = connectToParent(
  engineProtocol,
  (message) => {
    switch (message.kind) {
      case 'load':
        loading = load(message);
        loading.then(
          ({ batchSizes, withoutKernels }) => {
            parent.send({
              kind: 'loaded',
              batchSizes,
              peakBytes: peakBytes(),
              ...(withoutKernels !== undefined && { withoutKernels: withoutKernels.reason }),
            });
          },
          (error: unknown) => {
            parent.send({ kind: 'failed', error: faultOf(error) });
          },
        );
        return;
      case 'predict': {
        const { id } = message;
        predict(message).then(
          (output) => {
            parent.send({ kind: 'predicted', id, output });
          },
          (error: unknown) => {
            parent.send({ kind: 'failed', id, error: faultOf(error) });
          },
        );
      }
    }
  },
  overdueRun,
);

interface Ready {
  readonly loaded: LoadedModule;
  readonly hasClasses: boolean;
  readonly batchSizes: readonly number[];
  readonly withoutKernels: EngineBuild['withoutKernels'];
}

let loading: Promise<Ready> | undefined;

async function load({ store, source, batchSizes: asked }: LoadMessage): Promise<Ready> {
  const weights = await loadWeights(store, source, (calls) => {
    parent.send({ kind: 'store-calls', calls });
  });
  const engine = await createEngine(deviceSettings());
  // Where a row's bytes depend on the batch's size, there is one size.
  const batchSizes = engine.batchInvariant ? asked : asked.slice(-1);
  const config = unetConfig(source.recipe);
  const loaded = await engine.load(predictionModule(config, batchSizes, source.precision));
  await loaded.assign(weights);
  // A size is traced by its first pass. The smallest shows that the weights work; the others follow one by one, so that
  // a pass that is asked for meanwhile waits for one of them at most.
  await warmUp(loaded, config, at(batchSizes, 0));
  void warmUpAll(loaded, config, batchSizes.slice(1));
  const { withoutKernels } = engine.build;
  return { loaded, hasClasses: config.numClasses !== undefined, batchSizes, withoutKernels };
}

async function warmUpAll(loaded: LoadedModule, config: UNetConfig, sizes: readonly number[]): Promise<void> {
  // An error here happens again in a pass that a call waits for, and is reported then.
  for (const size of sizes) {
    await warmUp(loaded, config, size).catch(() => undefined);
    parent.send({ kind: 'memory', peakBytes: peakBytes() });
  }
}

function peakBytes(): number {
  return 1024 * process.resourceUsage().maxRSS;
}

async function warmUp(loaded: LoadedModule, config: UNetConfig, size: number): Promise<void> {
  const xT = new Float32Array(size * config.imageSize ** 2 * config.inChannels);
  const y = config.numClasses === undefined ? {} : { y: new Int32Array(size) };
  await loaded.run(`predict_${size}`, { xT, t: new Float32Array(size), ...y });
}

async function predict({ size, xT, t, y }: PredictMessage): Promise<Float32Array> {
  if (loading === undefined) throw new Error('a pass was asked for before the weights');
  const { loaded, hasClasses } = await loading;
  const { modelOutput } = await loaded.run(`predict_${size}`, hasClasses ? { xT, t, y } : { xT, t });
  if (modelOutput === undefined) throw new Error('the prediction module gave no modelOutput');
  return modelOutput;
}
