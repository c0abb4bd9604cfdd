/** How much energy a trajectory has, against that of real images at the same timestep, by frequency. */
import { at, integer } from '../../foundation/index.js';
import { bandPower, cosineTransform, radialBands, streamingBootstrap } from '../../statistics/index.js';
import { curveOf } from '../curves.js';
import { trajectoryMeasure } from '../measure.js';
import { timestepsOf } from '../trajectory.js';

/**
 * R_t(band) = E|x^_t|^2 / E|x_t|^2 over the cosine coefficients of a radial band: 1 at every t for a perfect model and
 * sampler, below 1 where the trajectory loses energy.
 */
export const energyRatio = trajectoryMeasure({
  name: 'energy_ratio',
  help: 'energy of the sampled x_t over that of diffused images, by timestep and band of frequencies',
  settings: {
    bands: {
      kind: integer(1, 64),
      default: 4,
      help: 'rings of frequencies, all equally wide; at most the image size',
    },
  },
  start: (setup, { bands: asked }) => {
    const { plan, model } = setup;
    const { channels } = model.contract;
    const transform = cosineTransform(model.imageSize, channels);
    const bands = radialBands(model.imageSize, channels, Math.min(asked, model.imageSize));
    const { count } = bands;
    // For each step the bands of the trajectory, then those of the image.
    const stream = streamingBootstrap(2 * count * plan.steps, setup.bootstrap);
    const place = (i: number, band: number): number => 2 * count * i + band;

    return {
      image: () => {
        const powers = new Float64Array(2 * count * plan.steps);
        return {
          level: ({ i, sampled, diffused }) => {
            powers.set(bandPower(bands, transform.forward(sampled)), place(i, 0));
            powers.set(bandPower(bands, transform.forward(diffused)), place(i, count));
          },
          end: () => () => {
            stream.add(powers);
          },
        };
      },
      finish: () => {
        const timesteps = timestepsOf(setup);
        const ratio = (means: Float64Array, i: number, band: number): number =>
          at(means, place(i, band)) / at(means, place(i, count + band));
        const curves = Array.from({ length: count }, (_, band) =>
          curveOf(bandName(band, count), stream, timesteps, (means, i) => ratio(means, i, band)),
        );
        const texts = { title: 'Energy of sampled x_t over that of diffused images', x: 'timestep t' };
        const y = 'E|sampled x_t|² / E|x_t|², by frequency (1 is the highest)';
        const end = stream.estimate((means) => ratio(means, 0, count - 1));
        return {
          figures: [
            { name: 'ratio', ...texts, y, ideal: 1, curves },
            { name: 'map', ...texts, y: 'band of frequencies', ideal: 1, curves, map: true as const },
          ],
          findings: [{ name: 'highest band at the last step', ideal: 1, ...end }],
          notes: [
            'Trajectories begin at pure noise. Bands are rings of the cosine transform; 1 is the highest frequency along an axis.',
          ],
        };
      },
    };
  },
});

/** Such as `0.25 - 0.5` of the highest frequency along an axis. */
export function bandName(band: number, count: number): string {
  const edge = (share: number): string => String(Number(share.toFixed(3)));
  return `${edge(band / count)} - ${edge((band + 1) / count)}`;
}
