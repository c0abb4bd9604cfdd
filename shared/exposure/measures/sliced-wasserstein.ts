/** How far the sampled x_t are, as a set, from diffused images at the same timestep. */
import { at, integer, invalidArgument, violation } from '../../foundation/index.js';
import {
  bootstrap,
  directions,
  projections,
  sortedWithOwners,
  squaredWasserstein,
} from '../../statistics/index.js';
import { trajectoryMeasure } from '../measure.js';
import { timestepsOf, valuesOf } from '../trajectory.js';

const MOST_RESAMPLES = 100;
const MOST_BYTES = 1024 ** 3;

/**
 * The squared sliced Wasserstein distance from sampled to diffused x_t, minus that from other images diffused to t, which
 * is what two sets of this size have in common: 0 in the mean for a perfect model and sampler.
 */
export const slicedWasserstein = trajectoryMeasure({
  name: 'sliced_wasserstein',
  help: 'squared sliced Wasserstein distance between sampled x_t and diffused images, minus that between two sets of images',
  settings: {
    directions: {
      kind: integer(1, 1024),
      default: 32,
      help: 'random directions in which the sets are compared',
    },
  },
  start: (setup, { directions: count }) => {
    const { plan, images } = setup;
    const along = directions(count, valuesOf(setup.model), setup.seed);
    const bytes = 4 * plan.steps * SETS * images;
    if (count * bytes > MOST_BYTES) {
      const wanted = `at most ${Math.floor(MOST_BYTES / bytes)} for ${images} images in ${plan.steps} steps`;
      throw invalidArgument([violation('settings.sliced_wasserstein.directions', wanted, count)]);
    }
    // [step, set, direction, image]: projections are all that is kept of an image.
    const places = new Float32Array(plan.steps * SETS * count * images);
    const row = (i: number, set: number, direction: number): number =>
      ((i * SETS + set) * count + direction) * images;
    let added = 0;

    return {
      image: () => {
        const own = new Float32Array(plan.steps * SETS * count);
        return {
          level: ({ i, sampled, diffused, otherDiffused }) => {
            [sampled, diffused, otherDiffused].forEach((x, set) => {
              own.set(projections(x, along), (i * SETS + set) * count);
            });
          },
          end: () => () => {
            for (let r = 0; r < own.length; r++) places[r * images + added] = own[r] ?? NaN;
            added += 1;
          },
        };
      },
      finish: () => {
        const ones = new Uint32Array(images).fill(1);
        const of = (i: number) => {
          const sets = Array.from({ length: SETS }, (_, set) =>
            along.map((_direction, direction) => {
              const start = row(i, set, direction);
              return sortedWithOwners(places.subarray(start, start + images));
            }),
          );
          const distance = (set: number, counts: Uint32Array, toCounts: Uint32Array): number =>
            along.reduce(
              (sum, _direction, d) =>
                sum + squaredWasserstein(at(at(sets, set), d), at(at(sets, 1), d), counts, toCounts),
              0,
            ) / count;
          return bootstrap(
            [images, images, images],
            (sampled = ones, diffused = ones, other = ones) =>
              distance(0, sampled, diffused) - distance(2, other, diffused),
            {
              ...setup.bootstrap,
              resamples: Math.min(setup.bootstrap.resamples ?? MOST_RESAMPLES, MOST_RESAMPLES),
            },
          );
        };
        const points = timestepsOf(setup).map((x, i) => ({ x, ...of(i) }));
        return {
          figures: [
            {
              name: 'excess',
              title: 'Sliced Wasserstein distance between sampled and diffused x_t',
              x: 'timestep t',
              y: 'squared distance minus that of two sets of images',
              ideal: 0,
              curves: [{ name: 'excess', points }],
            },
          ],
          findings: [{ name: 'excess at the last step', ideal: 0, ...of(0) }],
          notes: [],
        };
      },
    };
  },
});

/** Sampled, diffused, and diffused of other images. */
const SETS = 3;
