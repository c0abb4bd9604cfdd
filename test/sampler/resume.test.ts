/** What a solver yields is enough to resume from. */
import test from 'ava';
import { DiffusionError } from '../../shared/foundation/index.js';
import { encode, SAMPLERS, samplerPlan, solver } from '../../shared/sampler/index.js';
import type { SamplerSettings, SolverOptions, SolverState } from '../../shared/sampler/index.js';
import { collect, toyContract, toyNoise, toyPredict } from './toy.js';

const LENGTH = 12;
const contract = toyContract();
const noise = toyNoise(LENGTH);
const image = Float32Array.from({ length: LENGTH }, (_, e) => Math.sin(e));
const mask = Float32Array.from({ length: LENGTH }, (_, e) => [0, 0.5, 1][e % 3] ?? 0);

const REMEDIES: readonly Partial<SamplerSettings>[] = [
  {},
  { dynamicThreshold: 0.9 },
  { epsilonScaling: { k: 0.01, b: 1.02 } },
  { timeShift: { window: 100, cutoff: 100 } },
  { varianceNormalisation: true },
  { scoreRescaling: { k: 0.9, sigma: 1 } },
  { guidanceScale: 2 },
];
const BEGINNINGS: readonly (readonly [string, Pick<SolverOptions, 'start' | 'inpaint'>])[] = [
  ['from noise', {}],
  ['from an image', { start: { kind: 'image', xStart: image, skippedSteps: 1 } }],
  ['from a latent, into an image', { start: { kind: 'latent', xT: noise(9) }, inpaint: { image, mask } }],
];

for (const sampler of [...SAMPLERS, 'ddim with eta'] as const) {
  test(`${sampler}: after any step, with any remedy and beginning, the rest comes out bit for bit the same`, async (t) => {
    const base: SamplerSettings =
      sampler === 'ddim with eta' ? { sampler: 'ddim', eta: 0.7, steps: 6 } : { sampler, steps: 6 };
    const predict = toyPredict(contract);
    for (const remedy of REMEDIES) {
      const plan = samplerPlan({ ...base, ...remedy }, contract);
      for (const [name, beginning] of BEGINNINGS) {
        const options = { plan, predict, noise, y: 1, ...beginning };
        const whole = await collect(solver(options));
        for (const [done, { state }] of whole.entries()) {
          const rest = await collect(solver({ ...options, resume: stored(state) }));
          t.deepEqual(rest, whole.slice(done + 1), `${JSON.stringify(remedy)} ${name}, after ${done + 1}`);
        }
      }
    }
  });
}

test('encoding can be resumed after any step, too', async (t) => {
  const plan = samplerPlan({ sampler: 'ddim', steps: 5 }, contract);
  const start = { kind: 'image', xStart: image, skippedSteps: 0 } as const;
  const options = { plan, predict: toyPredict(contract), noise, start };
  const whole = await collect(encode(options));
  for (const [done, { state }] of whole.entries()) {
    t.deepEqual(await collect(encode({ ...options, resume: stored(state) })), whole.slice(done + 1));
  }
});

const good: SolverState = { stepsDone: 2, x: image, history: [image] };
const REFUSED: readonly (readonly [string, SolverState])[] = [
  ['resume.steps_done', { ...good, stepsDone: 0 }],
  ['resume.steps_done', { ...good, stepsDone: 7 }],
  ['resume.steps_done', { ...good, stepsDone: 1.5 }],
  ['resume.history', { ...good, history: [] }],
  ['resume.history', { ...good, history: [image, image] }],
  ['resume.history[0]', { ...good, history: [image.slice(1)] }],
  ['resume.history[0]', { ...good, history: [image.map(() => NaN)] }],
  ['resume.x', { ...good, x: image.map(() => Infinity) }],
];

for (const [i, [field, resume]] of REFUSED.entries()) {
  test(`state ${i} isn't one of the solver's and is refused, naming ${field}`, async (t) => {
    const plan = samplerPlan({ sampler: 'dpmpp_2m', steps: 6 }, contract);
    const steps = solver({ plan, predict: toyPredict(contract), noise, resume });
    const error = await t.throwsAsync(() => steps.next(), { instanceOf: DiffusionError });
    t.is(error.code, 'INVALID_ARGUMENT');
    t.true(error.violations.some((violation) => violation.field === field));
  });
}

/** The state as it comes back from wherever it was kept. */
function stored({ stepsDone, x, history }: SolverState): SolverState {
  return { stepsDone, x: x.slice(), history: history.map((array) => array.slice()) };
}
