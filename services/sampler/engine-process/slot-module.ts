/** The network and what a solver makes of it as one function, over slots that stay on a device. */
import { streamNormal, tf } from '../../../shared/engine/index.js';
import type { EngineModule, ModuleFunction, TensorSpec, Tensors } from '../../../shared/engine/index.js';
import { predictFunction } from '../../../shared/model/index.js';
import type { UNetConfig } from '../../../shared/model/index.js';
import { PIXEL_NUMBERS, SLOT_HISTORY, withParts, type PartPlace } from '../../../shared/sampler/index.js';
import { KEPT, NUMBERS, NUMBERS_LENGTH, SLOT_ARRAYS, TERMS, type StepName } from './slot-inputs.js';
import { slotMath } from './slot-math.js';

const SLOTS = 'slots';
const KEPT_PIXELS = 'kept_pixels';

/**
 * The functions over `slots` slots of a network; their state is two more variables beside its parameters.
 *
 * `step`: the inputs of `stepInputs` for `size` rows; output `finite` [size], 0 where the network's output wasn't.
 * `step_pixels`: the same for rows with `pixels`, which alone reads the kept pixels. `write`: `slot` [1], `arrays`
 * [1 + SLOT_HISTORY, H, W, C] (x, then the history). `keep`: `slot` [1], `arrays` [3, H, W, C] as `KEPT` names them.
 * `read`: `slot` [1], `array` [1]; output `values` [H, W, C].
 */
export function slotFunctions(
  architecture: UNetConfig,
  size: number,
  slots: number,
): Pick<EngineModule, 'variables' | 'functions'> {
  const { imageSize, inChannels } = architecture;
  const image = [imageSize, imageSize, inChannels];
  return {
    variables: [
      { name: SLOTS, shape: [SLOT_ARRAYS, slots, ...image] },
      { name: KEPT_PIXELS, shape: [KEPT.length, slots, ...image] },
    ],
    functions: {
      step: stepFunction(architecture, size, slots, 'step'),
      step_pixels: stepFunction(architecture, size, slots, 'step_pixels'),
      write: writing(SLOTS, [1 + SLOT_HISTORY, ...image], (arrays) => {
        const [x, ...history] = tf.unstack(arrays);
        const none = tf.zerosLike(x as tf.Tensor);
        return tf.stack([x as tf.Tensor, none, none, ...history]);
      }),
      keep: writing(KEPT_PIXELS, [KEPT.length, ...image], (arrays) => arrays),
      read: {
        inputs: { slot: { shape: [1], dtype: 'int32' }, array: { shape: [1], dtype: 'int32' } },
        body: ({ slot, array }, variables) => {
          const ofArray = tf.gather(variables[SLOTS] as tf.Tensor, array as tf.Tensor1D, 0);
          return { outputs: { values: tf.reshape(tf.gather(ofArray, slot as tf.Tensor1D, 1), image) } };
        },
      },
    },
  };
}

/** Puts arrays of an image into its slot of a variable. */
function writing(
  name: string,
  shape: readonly number[],
  held: (arrays: tf.Tensor) => tf.Tensor,
): ModuleFunction {
  return {
    inputs: { slot: { shape: [1], dtype: 'int32' }, arrays: { shape, dtype: 'float32' } },
    body: ({ slot, arrays }, variables) => {
      const all = variables[name] as tf.Tensor;
      const places = tf.tensor1d([...Array(all.shape[1] ?? 0).keys()], 'int32');
      const chosen = tf.equal(places, slot as tf.Tensor);
      return {
        outputs: {},
        updates: { [name]: where(chosen, tf.expandDims(held(arrays as tf.Tensor), 1), all) },
      };
    },
  };
}

/** Of all slots the chosen ones; `chosen` is [slots], the others [arrays, slots, ...]. */
function where(chosen: tf.Tensor, those: tf.Tensor, others: tf.Tensor): tf.Tensor {
  return tf.where(tf.reshape(chosen, [1, -1, 1, 1, 1]), tf.broadcastTo(those, others.shape), others);
}

function stepFunction(architecture: UNetConfig, size: number, slots: number, name: StepName): ModuleFunction {
  const { inChannels, outChannels } = architecture;
  const network = predictFunction(architecture, size);
  const { xT: xSpec = none(), ...asked } = network.inputs;
  const length = xSpec.shape.slice(1).reduce((product, each) => product * each, 1);
  const inputs: Record<string, TensorSpec> = {
    ...asked,
    slot: { shape: [size], dtype: 'int32' },
    place: { shape: [slots], dtype: 'int32' },
    numbers: { shape: [size, NUMBERS_LENGTH], dtype: 'float32' },
    key: { shape: [size, 2], dtype: 'int32' },
    position: { shape: [size, 2], dtype: 'int32' },
    ...(name === 'step_pixels' && { pixels: { shape: [size, PIXEL_NUMBERS], dtype: 'float32' } }),
  };

  function body(given: Tensors, variables: Tensors) {
    const all = variables[SLOTS] as tf.Tensor;
    const slot = given['slot'] as tf.Tensor1D;
    const held = tf.unstack(tf.gather(all, slot, 1));
    const [xHeld, predicted, before, ...history] = held as [tf.Tensor, tf.Tensor, tf.Tensor, ...tf.Tensor[]];
    const withPixels = name === 'step' ? unchanged : changing(given['pixels'] as tf.Tensor, slot, variables);
    const x = withPixels('start', { x: xHeld, xStart: predicted });
    const { outputs } = network.body({ ...given, xT: x }, variables);
    const output = outputs['modelOutput'] as tf.Tensor;
    const [prediction, variance] =
      outChannels === inChannels ? [output] : tf.split(output, [inChannels, inChannels], 3);
    const number = columnsOf(given['numbers'] as tf.Tensor);
    const sum = (first: number, of: readonly (tf.Tensor | undefined)[]): tf.Tensor =>
      of
        .map((values, k) => tf.mul(number(first + k), values as tf.Tensor))
        .reduce((total, term) => tf.add(total, term));

    const bound = number(NUMBERS.bound);
    const clamped = tf.minimum(
      tf.maximum(sum(NUMBERS.xStart, [x, prediction, before]), tf.neg(bound)),
      bound,
    );
    const xStart = withPixels('predicted', { x, xStart: clamped });
    const next = Array.from({ length: 1 + SLOT_HISTORY }, (_, k) =>
      sum(NUMBERS.next + k * TERMS, [x, xStart, ...history]),
    );
    const noise = streamNormal(length, given['key'] as tf.Tensor, given['position'] as tf.Tensor);
    const drawn = tf.mul(deviation(number, variance), tf.reshape(noise, x.shape));
    const predicts = number(NUMBERS.predicts);
    const ofStep = tf.where(tf.greater(tf.broadcastTo(predicts, x.shape), 0), xStart, predicted);
    const made = [
      withPixels('end', { x: tf.add(next[0] as tf.Tensor, drawn), xStart: ofStep }),
      ofStep,
      prediction as tf.Tensor,
      ...next.slice(1),
    ];
    const place = given['place'] as tf.Tensor1D;
    // Back by a gather as well: each slot looks for its row. A scatter may give other bits on a GPU from run to run. The
    // place -1 is taken for 0 there.
    const back = tf.gather(tf.stack(made), place, 1);
    const finite = tf.min(tf.reshape(tf.cast(tf.isFinite(output), 'float32'), [size, -1]), 1);
    return {
      outputs: { finite },
      updates: { [SLOTS]: where(tf.greaterEqual(place, 0), back, all) },
    };
  }

  return { inputs, body };
}

type WithPixels = (place: PartPlace, images: Record<'x' | 'xStart', tf.Tensor>) => tf.Tensor;

const unchanged: WithPixels = (place, { x, xStart }) => (place === 'predicted' ? xStart : x);

/** The parts of rows that have numbers for them. */
function changing(pixels: tf.Tensor, slot: tf.Tensor1D, variables: Tensors): WithPixels {
  const [share, image, xT] = tf.unstack(tf.gather(variables[KEPT_PIXELS] as tf.Tensor, slot, 1));
  const kept = { share, image, xT } as Record<(typeof KEPT)[number], tf.Tensor>;
  const number = columnsOf(pixels);
  return (place, images) => withParts(slotMath, place, { ...images, kept }, number);
}

/** The columns of [size, columns], each a number of each image. */
function columnsOf(numbers: tf.Tensor): (place: number) => tf.Tensor {
  const [size = 0, count = 0] = numbers.shape;
  const columns = tf.split(numbers, count, 1);
  return (place) => tf.reshape(columns[place] as tf.Tensor, [size, 1, 1, 1]);
}

function deviation(number: (at: number) => tf.Tensor, variance: tf.Tensor | undefined): tf.Tensor {
  const scale = number(NUMBERS.deviation);
  if (variance === undefined) return scale;
  const [least, most] = [number(NUMBERS.least), number(NUMBERS.most)];
  const chosen = tf.add(least, tf.mul(tf.mul(tf.add(variance, 1), 0.5), tf.sub(most, least)));
  return tf.mul(scale, tf.exp(tf.mul(chosen, 0.5)));
}

function none(): never {
  throw new Error('the network has no input xT');
}
