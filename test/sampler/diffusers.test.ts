/** Solvers that the reference lacks, against Hugging Face diffusers' schedulers; data/diffusers_reference.py says how. */
import test from 'ava';
import { readFileSync } from 'node:fs';
import { at } from '../../shared/foundation/index.js';
import { makeBetas, trainingProcess } from '../../shared/noise/index.js';
import { samplerPlan, solver } from '../../shared/sampler/index.js';
import type { NetworkRow, SamplerName, TimestepSpacing } from '../../shared/sampler/index.js';

interface Case {
  readonly sampler: SamplerName;
  readonly schedule: 'linear' | 'cosine';
  readonly T: number;
  readonly spacing: TimestepSpacing;
  readonly steps: number;
  /** The clamp to [-1, 1], or the quantile of dynamic thresholding. */
  readonly threshold?: 'clamp' | number;
  /** Descending. */
  readonly timesteps: number[];
  readonly x_T: number[];
  readonly noises: number[][];
  readonly samples: number[][];
}

const file = new URL('data/diffusers.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { readonly cases: Case[] };

const network = ({ xT, t }: NetworkRow) =>
  Promise.resolve(xT.map((value) => 0.8 * Math.tanh(value) + 0.1 * Math.cos(t / 100)));

for (const { sampler, schedule, T, spacing, steps, threshold, ...reference } of cases) {
  const title = `${sampler}, ${steps} ${spacing} steps of ${T} (${schedule}), ${threshold ?? 'no'} threshold`;
  test(`every step is that of diffusers: ${title}`, async (t) => {
    const plan = samplerPlan(
      {
        sampler,
        steps,
        spacing,
        clipDenoised: threshold !== undefined,
        ...(typeof threshold === 'number' && { dynamicThreshold: threshold }),
      },
      {
        ...trainingProcess(makeBetas({ name: schedule, timesteps: T })),
        varianceType: 'fixed_small',
        meanType: 'epsilon',
        channels: 1,
      },
    );
    t.deepEqual([...plan.timestepMap].reverse(), reference.timesteps);
    const noise = (position: number) => Float32Array.from(at([reference.x_T, ...reference.noises], position));
    for await (const { index, sample } of solver({ plan, predict: network, noise })) {
      const wanted = at(reference.samples, index);
      const scale = Math.max(...wanted.map(Math.abs));
      sample.forEach((value, e) => {
        const error = Math.abs(value - at(wanted, e)) / scale;
        t.true(error < 1e-5, `step ${index}, element ${e}: ${value} for ${at(wanted, e)}`);
      });
    }
  });
}
