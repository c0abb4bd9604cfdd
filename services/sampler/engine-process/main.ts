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
import { SLOT_HISTORY } from '../../../shared/sampler/index.js';
import { loadWeights } from './load-weights.js';
import {
  engineProtocol,
  faultOf,
  type LoadMessage,
  type PredictMessage,
  type StepMessage,
  type ToEngine,
} from './messages.js';
import { predictionModule } from './prediction-module.js';
import { KEPT, slotCount, stepInputs, stepName, type StepInputs } from './slot-inputs.js';

const parent = connectToParent(
  engineProtocol,
  (message) => {
    switch (message.kind) {
      case 'load':
        loading = load(message);
        loading.then(
          ({ batchSizes, slots, withoutKernels }) => {
            parent.send({
              kind: 'loaded',
              ...{ batchSizes, slots },
              peakBytes: peakBytes(),
              ...(withoutKernels !== undefined && { withoutKernels: withoutKernels.reason }),
            });
          },
          (error: unknown) => {
            parent.send({ kind: 'failed', error: faultOf(error) });
          },
        );
        return;
      default: {
        const { id } = message;
        answer(message).then(
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

async function answer(message: Exclude<ToEngine, LoadMessage>): Promise<Float32Array> {
  if (loading === undefined) throw new Error('a pass was asked for before the weights');
  const ready = await loading;
  const { loaded } = ready;
  switch (message.kind) {
    case 'predict':
      return predict(message, ready);
    case 'step':
      return step(message, ready);
    case 'write':
    case 'keep':
      await loaded.run(message.kind, { slot: Int32Array.of(message.slot), arrays: message.arrays });
      return new Float32Array(0);
    case 'read': {
      const inputs = { slot: Int32Array.of(message.slot), array: Int32Array.of(message.array) };
      return output(await loaded.run('read', inputs), 'values');
    }
  }
}

interface Ready {
  readonly loaded: LoadedModule;
  readonly hasClasses: boolean;
  readonly batchSizes: readonly number[];
  readonly slots: number;
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
  const size = at(batchSizes, batchSizes.length - 1);
  // Only there do variables stay on a device between runs.
  const slots = engine.build.name === 'pjrt' ? slotCount(size, config.imageSize ** 2 * config.inChannels) : 0;
  const loaded = await engine.load(predictionModule(config, batchSizes, source.precision, slots));
  await loaded.assign(weights);
  const { withoutKernels } = engine.build;
  const ready = { loaded, hasClasses: config.numClasses !== undefined, batchSizes, slots, withoutKernels };
  // A size is traced by its first pass. The first shows that the weights work; the others follow one by one, so that
  // a pass that is asked for meanwhile waits for one of them at most.
  const [first, ...others] = warmUps(ready, config);
  await first?.();
  void warmUpAll(others);
  return ready;
}

type WarmUp = () => Promise<unknown>;

/** A pass of each kind, those first that most calls need. */
function warmUps({ loaded, hasClasses, batchSizes, slots }: Ready, config: UNetConfig): WarmUp[] {
  const length = config.imageSize ** 2 * config.inChannels;
  const predictions = batchSizes.map((size) => () => {
    const y = hasClasses ? { y: new Int32Array(size) } : {};
    const xT = new Float32Array(size * length);
    return loaded.run(`predict_${size}`, { xT, t: new Float32Array(size), ...y });
  });
  if (slots === 0) return predictions;
  const size = at(batchSizes, batchSizes.length - 1);
  const slot = Int32Array.of(0);
  return [
    () => loaded.run('step', stepRun(stepInputs([], size, slots), hasClasses)),
    () => loaded.run('write', { slot, arrays: new Float32Array((1 + SLOT_HISTORY) * length) }),
    () => loaded.run('read', { slot, array: Int32Array.of(0) }),
    ...predictions,
    () => loaded.run('step_pixels', stepRun(stepInputs([], size, slots, 'step_pixels'), hasClasses)),
    () => loaded.run('keep', { slot, arrays: new Float32Array(KEPT.length * length) }),
  ];
}

async function warmUpAll(warmUps: readonly WarmUp[]): Promise<void> {
  // An error here happens again in a pass that a call waits for, and is reported then.
  for (const warmUp of warmUps) {
    await warmUp().catch(() => undefined);
    parent.send({ kind: 'memory', peakBytes: peakBytes() });
  }
}

function peakBytes(): number {
  return 1024 * process.resourceUsage().maxRSS;
}

async function predict(
  { size, xT, t, y }: PredictMessage,
  { loaded, hasClasses }: Ready,
): Promise<Float32Array> {
  return output(await loaded.run(`predict_${size}`, hasClasses ? { xT, t, y } : { xT, t }), 'modelOutput');
}

async function step({ passes }: StepMessage, { loaded, hasClasses }: Ready): Promise<Float32Array> {
  const finite: Float32Array[] = [];
  for (const inputs of passes)
    finite.push(output(await loaded.run(stepName(inputs), stepRun(inputs, hasClasses)), 'finite'));
  return Float32Array.from(finite.flatMap((ofPass) => [...ofPass]));
}

function stepRun({ y, ...inputs }: StepInputs, hasClasses: boolean) {
  return hasClasses ? { ...inputs, y } : inputs;
}

function output(outputs: Readonly<Record<string, Float32Array>>, name: string): Float32Array {
  const found = outputs[name];
  if (found === undefined) throw new Error(`the prediction module gave no ${name}`);
  return found;
}
