/** Does a longer chain end further from the images? (the paper's slides, figure 5) */
import { at, integer, mapInOrder } from '../../foundation/index.js';
import { drain, solver } from '../../sampler/index.js';
import { bootstrap, energyDistance, pairDistances } from '../../statistics/index.js';
import { indicesUpTo } from '../indices.js';
import { ownMeasure } from '../measure.js';
import { solverOptions } from '../trajectory.js';

const MOST_RESAMPLES = 100;

/**
 * Images of the first set are noised to x_s and sampled back from there with the same noise for every s. Their energy
 * distance to the second set, minus that of the images themselves: 0 in the mean for a perfect model and sampler, and
 * rising with s where errors accumulate. The sets are compared, not each image with itself, since x_s does not determine
 * its image.
 */
export const chainLength = ownMeasure({
  name: 'chain_length',
  help: 'energy distance of images that were noised to s and sampled back, minus that of the images, by s',
  settings: {
    images: {
      kind: integer(8, 2000),
      default: 256,
      help: 'images of each set, at most; their distances take n² each',
    },
    lengths: { kind: integer(1, 100), default: 6, help: 'numbers of steps from which to sample back' },
  },
  run: async (setup, { images: most, lengths }) => {
    const { plan, data, bootstrap: options } = setup;
    const n = Math.min(most, setup.images);
    const chosen = stepsFrom(plan.steps, lengths);
    const total = n * chosen.length;
    const collect = async (work: (index: number) => Promise<Float32Array>, done?: () => void) => {
      const set: Float32Array[] = [];
      for await (const image of mapInOrder(indicesUpTo(n), setup.width, work)) {
        set.push(image);
        done?.();
      }
      return set;
    };
    const images = await collect((index) => data.image(index));
    const others = await collect((index) => data.image(setup.images + index));
    const ofImages = pairDistances(images, others);
    const ones = new Uint32Array(n).fill(1);

    let done = 0;
    const points = [];
    for (const steps of chosen) {
      const sampled = await collect(
        (index) =>
          drain(
            solver({
              ...solverOptions(setup, index),
              start: { kind: 'image', xStart: at(images, index), skippedSteps: plan.steps - steps },
            }),
          ),
        () => {
          setup.progress(++done, total);
        },
      );
      const ofSampled = pairDistances(sampled, others);
      const excess = bootstrap(
        [n, n],
        (counts = ones, otherCounts = ones) =>
          energyDistance(ofSampled, counts, otherCounts) - energyDistance(ofImages, counts, otherCounts),
        { ...options, resamples: Math.min(options.resamples ?? MOST_RESAMPLES, MOST_RESAMPLES) },
      );
      points.push({ x: at(plan.timestepMap, steps - 1), ...excess });
    }
    const { value, low, high } = at(points, points.length - 1);
    return {
      figures: [
        {
          name: 'excess',
          title: 'Images noised to s and sampled back, against other images',
          x: 'timestep s at which the chain begins',
          y: 'energy distance minus that of the images',
          ideal: 0,
          curves: [{ name: 'excess', points }],
        },
      ],
      findings: [{ name: 'excess of the longest chain', ideal: 0, value, low, high }],
      images: n,
      notes: [`Two sets of ${n} images.`],
    };
  },
});

/** Up to `count` numbers of steps from 1 to all, rising. */
function stepsFrom(steps: number, count: number): number[] {
  const wanted = Math.min(count, steps);
  if (wanted === 1) return [steps];
  return Array.from({ length: wanted }, (_, n) => 1 + Math.round((n * (steps - 1)) / (wanted - 1)));
}
