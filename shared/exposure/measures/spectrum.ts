/** Which frequencies samples keep: their radial power spectrum against that of images. */
import { at } from '../../foundation/index.js';
import { bandPower, cosineTransform, radialBands, streamingBootstrap } from '../../statistics/index.js';
import { curveOf } from '../curves.js';
import { trajectoryMeasure } from '../measure.js';

/** Power of the samples over that of as many images, in rings one frequency wide: 1 everywhere for a perfect model. */
export const spectrum = trajectoryMeasure({
  name: 'spectrum',
  help: 'radial power spectrum of samples over that of images: which frequencies are kept',
  settings: {},
  start: (setup) => {
    const { imageSize, contract } = setup.model;
    const transform = cosineTransform(imageSize, contract.channels);
    const bands = radialBands(imageSize, contract.channels, imageSize);
    const { count, sizes, middles } = bands;
    const stream = streamingBootstrap(2 * count, setup.bootstrap);
    return {
      image: (xStart) => ({
        level: () => undefined,
        end: (sample) => {
          const powers = [sample, xStart].flatMap((x) => [...bandPower(bands, transform.forward(x))]);
          return () => {
            stream.add(powers);
          };
        },
      }),
      finish: () => {
        const ratio = (means: Float64Array, band: number): number =>
          at(means, band) / at(means, count + band);
        const power = (name: string, offset: number) =>
          curveOf(name, stream, middles, (means, band) => at(means, offset + band));
        /** Energy of the upper half of the bands. */
        const upper = (means: Float64Array, offset: number): number =>
          middles.reduce((sum, x, b) => (x > 0.5 ? sum + at(means, offset + b) * at(sizes, b) : sum), 0);
        const x = 'frequency, 1 is the highest along an axis';
        return {
          figures: [
            {
              ...{ name: 'ratio', title: 'Power of samples over that of images', x, y: 'ratio', ideal: 1 },
              curves: [curveOf('ratio', stream, middles, ratio)],
            },
            {
              ...{ name: 'power', title: 'Power by frequency', x, y: 'mean square of the coefficients' },
              logarithmic: true,
              curves: [power('samples', 0), power('images', count)],
            },
          ],
          findings: [
            {
              name: 'energy of the upper half of frequencies over that of images',
              ideal: 1,
              ...stream.estimate((means) => upper(means, 0) / upper(means, count)),
            },
            {
              name: 'root mean square of ln ratio',
              ...stream.estimate((means) =>
                Math.sqrt(
                  middles.reduce((sum, _, band) => sum + Math.log(ratio(means, band)) ** 2, 0) / count,
                ),
              ),
            },
          ],
          notes: [],
        };
      },
    };
  },
});
