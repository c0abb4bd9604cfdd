/** A solver out of its steps: where a trajectory begins, how it resumes after an interruption, and what it yields. */
import { qSample } from '../noise/index.js';
import { withKept } from './inpainting.js';
import { checkOptions, skippedSteps } from './options.js';
import { visitedProcess } from './process.js';
import { shiftedTimestep } from './remedies/time-shift.js';
import { varianceNormalised } from './remedies/variance-normalisation.js';
import { waveletCorrected } from './remedies/wavelet-correction.js';
import type { SamplerPlan, SamplerStep, SolverOptions } from './solver.js';
import { samplerStep, takeStep } from './steps.js';

/** The solver that the plan names, over one image: a step after the other. */
export async function* solver(options: SolverOptions): AsyncGenerator<SamplerStep, void, undefined> {
  const { stages, pastLength = () => 0 } = options.plan.solver;
  checkOptions(options, pastLength);
  const { plan, inpaint, resume } = options;
  const first = plan.steps - 1 - skippedSteps(options);
  const xT = latentOf(options);
  const kept = (x: Float32Array, i: number) =>
    inpaint === undefined ? x : withKept(plan, inpaint, i, { x, xT });

  let x = resume?.x ?? startOf(options, xT);
  let history = resume?.history ?? [];
  for (let i = resume === undefined ? first : plan.steps - 1 - resume.stepsDone; i >= 0; i--) {
    const here = i === first ? plan : timeShifted(plan, i, x);
    const end = await takeStep({ ...options, plan: here }, stages(here, i), i, {
      x: varianceNormalised(here.remedies.varianceNormalisation, here.tables, i, x),
      history,
    });
    const { waveletCorrection } = here.remedies;
    const { channels } = here.contract;
    const result = { x: end.x, xStart: end.predXStart, channels };
    x = kept(waveletCorrected(waveletCorrection, here.tables, i, result), i - 1);
    history = end.history;
    yield samplerStep(here, plan.steps - 1 - i, i, { ...end, x });
  }
}

type Beginning = Pick<SolverOptions, 'plan' | 'start' | 'noise' | 'inpaint'>;

/** x before the first step: x_T, or the image that it starts at, noised by x_T; with the kept pixels. */
export function startOf(options: Beginning, xT: () => Float32Array): Float32Array {
  const { plan, start, inpaint } = options;
  const first = plan.steps - 1 - skippedSteps(options);
  const x = start?.kind === 'image' ? qSample(plan.tables, start.xStart, first, xT()) : xT();
  return inpaint === undefined ? x : withKept(plan, inpaint, first, { x, xT });
}

/** x_T, which is drawn once, when it is asked for. */
export function latentOf({ start, noise }: Pick<Beginning, 'start' | 'noise'>): () => Float32Array {
  let drawn: Float32Array | undefined;
  return () => (drawn ??= start?.kind === 'latent' ? start.xT : noise(0));
}

/** The finished image, [H, W, C] flattened: the sample of the solver's last step. */
export async function drain(steps: AsyncIterable<SamplerStep>): Promise<Float32Array> {
  let sample: Float32Array = new Float32Array(0);
  for await (const step of steps) sample = step.sample;
  return sample;
}

/** The plan with the timestep at respaced step `i` that the time shift takes x_t for. */
function timeShifted(plan: SamplerPlan, i: number, x: Float32Array): SamplerPlan {
  const { remedies, timestepMap, trainingTables, contract } = plan;
  const t = shiftedTimestep(remedies.timeShift, timestepMap, trainingTables, i, x);
  if (t === timestepMap[i]) return plan;
  return { ...plan, ...visitedProcess(contract, trainingTables, Array.from(timestepMap.with(i, t))) };
}
