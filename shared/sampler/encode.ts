/** DDIM encoding: the probability flow backwards, from an image to the x_T from which DDIM would sample it. */
import { invalidArgument, unmet } from '../foundation/index.js';
import { towards } from './ddim.js';
import { checkOptions } from './options.js';
import type { SamplerStep, SolverKind, SolverOptions } from './solver.js';
import { samplerStep, takeStep } from './steps.js';

/**
 * Encodes the image at which `start` begins; the last step's sample is x_T. Steps go up: the first takes x_0 for x_t
 * of the smallest timestep, the last leads to alphasCumprod 0. It uses no noise.
 * Source: arXiv 2010.02502, section 4.3; forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py,
 * `ddim_reverse_sample_loop`.
 * @throws INVALID_ARGUMENT naming `sampler`, `eta`, `timeShift`, `inpaint` or fields of `start` or `resume`.
 */
export async function* encode(options: SolverOptions): AsyncGenerator<SamplerStep, void, undefined> {
  checkOptions(options, () => 0);
  const { plan, resume } = options;
  const image = encodedImage(options);
  let x = resume?.x ?? image;
  for (let i = resume?.stepsDone ?? 0; i < plan.steps; i++) {
    const end = await takeStep(options, encoding(plan, i), i, { x, history: [] });
    x = end.x;
    yield samplerStep(plan, i, i, end);
  }
}

/** From level i up to level i + 1, or to nothing but noise. */
export const encoding: SolverKind['stages'] = ({ tables }, i) => [
  {
    level: i,
    deviation: 0,
    combine: (algebra, { x, xStart }) => ({
      x: towards(algebra, tables, i, { x, xStart }, tables.alphasCumprod[i + 1] ?? 0),
    }),
  },
];

function encodedImage({ plan, start, inpaint }: SolverOptions): Float32Array {
  const image = start?.kind === 'image' && start.skippedSteps === 0 ? start.xStart : undefined;
  const { timeShift, varianceNormalisation } = plan.remedies;
  const found = unmet((demand) => {
    demand(plan.eta === 0, 'eta', '0 or unset when an image is encoded', plan.eta);
    demand(timeShift === undefined, 'time_shift', 'no value when an image is encoded', timeShift);
    demand(
      varianceNormalisation === undefined,
      'variance_normalisation',
      'no value when an image is encoded',
      true,
    );
    demand(inpaint === undefined, 'inpaint', 'no value when an image is encoded', 'an image');
    demand(
      image !== undefined,
      'start',
      'a start image and no skipped steps when an image is encoded',
      start?.kind,
    );
  });
  if (image === undefined || found.length > 0) throw invalidArgument(found);
  return image;
}
