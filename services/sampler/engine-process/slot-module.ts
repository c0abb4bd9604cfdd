/** The network and what a solver makes of it as one function, over slots that stay on a device. */
import { streamNormal, tf } from '../../../shared/engine/index.js';
import type { EngineModule, ModuleFunction, TensorSpec, Tensors } from '../../../shared/engine/index.js';
import { predictFunction } from '../../../shared/model/index.js';
import type { UNetConfig } from '../../../shared/model/index.js';
import { SLOT_HISTORY, type SlotRow } from '../../../shared/sampler/index.js';

/** What a slot holds, each an image: x, the predicted x_0, the network's prediction before, the history. */
export const SLOT_ARRAYS = 3 + SLOT_HISTORY;
/** The place of the first array of history in a slot. */
const FIRST_PAST = 3;

const SLOTS = 'slots';

/** How a row's numbers lie in the input `numbers`. */
const NUMBERS = { xStart: 0, bound: 3, deviation: 4, least: 5, most: 6, predicts: 7, next: 8 } as const;
const TERMS = 2 + SLOT_HISTORY;
const NUMBERS_LENGTH = NUMBERS.next + (1 + SLOT_HISTORY) * TERMS;

/** A row, the slot that it changes, and where its noise is drawn from. */
export interface SlotWork {
  readonly slot: number;
  readonly row: SlotRow;
  readonly key: readonly [number, number];
  readonly index: number;
}

/** The inputs of a pass of at most `size` works, each of another slot. */
export function stepInputs(works: readonly SlotWork[], size: number, slots: number) {
  const numbers = new Float32Array(size * NUMBERS_LENGTH);
  const [t, y, slot] = [new Float32Array(size), new Int32Array(size), new Int32Array(size)];
  const [key, position] = [new Int32Array(2 * size), new Int32Array(2 * size)];
  const place = new Int32Array(slots).fill(-1);
  for (const [i, work] of works.entries()) {
    const { row } = work;
    const { xStart, bound, deviation, logVariance, predicts, next } = row;
    const of = [...xStart, bound, deviation, ...logVariance, predicts ? 1 : 0, ...next.flat()];
    numbers.set(of, i * NUMBERS_LENGTH);
    [t[i], y[i], slot[i]] = [row.t, row.y, work.slot];
    key.set(work.key, 2 * i);
    position.set([work.index, row.noisePosition], 2 * i);
    place[work.slot] = i;
  }
  return { t, y, slot, place, numbers, key, position };
}

/**
 * The functions over `slots` slots of a network; their state is one more variable beside its parameters.
 *
 * `step`: the inputs of `stepInputs` for `size` rows; output `finite` [size], 0 where the network's output wasn't.
 * `write`: `slot` [1], `arrays` [1 + SLOT_HISTORY, H, W, C] (x, then the history). `read`: `slot` [1], `array` [1]; output
 * `values` [H, W, C].
 */
export function slotFunctions(
  architecture: UNetConfig,
  size: number,
  slots: number,
): Pick<EngineModule, 'variables' | 'functions'> {
  const { imageSize, inChannels } = architecture;
  const image = [imageSize, imageSize, inChannels];
  return {
    variables: [{ name: SLOTS, shape: [SLOT_ARRAYS, slots, ...image] }],
    functions: {
      step: stepFunction(architecture, size, slots),
      write: {
        inputs: {
          slot: { shape: [1], dtype: 'int32' },
          arrays: { shape: [1 + SLOT_HISTORY, ...image], dtype: 'float32' },
        },
        body: ({ slot, arrays }, variables) => {
          const [x, ...history] = tf.unstack(arrays as tf.Tensor);
          const none = tf.zerosLike(x as tf.Tensor);
          const given = tf.stack([x as tf.Tensor, none, none, ...history]);
          const all = variables[SLOTS] as tf.Tensor;
          const chosen = tf.equal(tf.tensor1d([...Array(slots).keys()], 'int32'), slot as tf.Tensor);
          return {
            outputs: {},
            updates: { [SLOTS]: where(chosen, tf.expandDims(given, 1), all) },
          };
        },
      },
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

/** Of all slots the chosen ones; `chosen` is [slots], the others [arrays, slots, ...]. */
function where(chosen: tf.Tensor, those: tf.Tensor, others: tf.Tensor): tf.Tensor {
  return tf.where(tf.reshape(chosen, [1, -1, 1, 1, 1]), tf.broadcastTo(those, others.shape), others);
}

function stepFunction(architecture: UNetConfig, size: number, slots: number): ModuleFunction {
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
  };

  function body(given: Tensors, variables: Tensors) {
    const all = variables[SLOTS] as tf.Tensor;
    const held = tf.unstack(tf.gather(all, given['slot'] as tf.Tensor1D, 1));
    const [x, predicted, before, ...history] = held as [tf.Tensor, tf.Tensor, tf.Tensor, ...tf.Tensor[]];
    const { outputs } = network.body({ ...given, xT: x }, variables);
    const output = outputs['modelOutput'] as tf.Tensor;
    const [prediction, variance] =
      outChannels === inChannels ? [output] : tf.split(output, [inChannels, inChannels], 3);
    const columns = tf.split(given['numbers'] as tf.Tensor2D, NUMBERS_LENGTH, 1);
    const number = (at: number): tf.Tensor => tf.reshape(columns[at] as tf.Tensor, [size, 1, 1, 1]);
    const sum = (first: number, of: readonly (tf.Tensor | undefined)[]): tf.Tensor =>
      of
        .map((values, k) => tf.mul(number(first + k), values as tf.Tensor))
        .reduce((total, term) => tf.add(total, term));

    const bound = number(NUMBERS.bound);
    const xStart = tf.minimum(tf.maximum(sum(NUMBERS.xStart, [x, prediction, before]), tf.neg(bound)), bound);
    const next = Array.from({ length: 1 + SLOT_HISTORY }, (_, k) =>
      sum(NUMBERS.next + k * TERMS, [x, xStart, ...history]),
    );
    const noise = streamNormal(length, given['key'] as tf.Tensor, given['position'] as tf.Tensor);
    const drawn = tf.mul(deviation(number, variance), tf.reshape(noise, x.shape));
    const predicts = number(NUMBERS.predicts);
    const made = [
      tf.add(next[0] as tf.Tensor, drawn),
      tf.where(tf.greater(tf.broadcastTo(predicts, x.shape), 0), xStart, predicted),
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

function deviation(number: (at: number) => tf.Tensor, variance: tf.Tensor | undefined): tf.Tensor {
  const scale = number(NUMBERS.deviation);
  if (variance === undefined) return scale;
  const [least, most] = [number(NUMBERS.least), number(NUMBERS.most)];
  const chosen = tf.add(least, tf.mul(tf.mul(tf.add(variance, 1), 0.5), tf.sub(most, least)));
  return tf.mul(scale, tf.exp(tf.mul(chosen, 0.5)));
}

/** The places in a slot of what is read: x, the predicted x_0, history k. */
export const SLOT_PLACES = { x: 0, xStart: 1, history: (k: number): number => FIRST_PAST + k } as const;

function none(): never {
  throw new Error('the network has no input xT');
}
