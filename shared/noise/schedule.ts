/** Noise schedules: the betas of the forward process, by name or given. */
import { createHash } from 'node:crypto';
import { invalidArgument, isInteger, violation } from '../foundation/index.js';

export type NoiseScheduleConfig =
  | { readonly name: 'linear' | 'cosine'; readonly timesteps: number }
  | { readonly name: 'custom'; readonly betas: readonly number[] };

const MAX_TIMESTEPS = 100_000;
// Ho et al.'s linear schedule ends at 20 / T, which is a probability only from here on.
const MIN_LINEAR_TIMESTEPS = 21;
const MAX_COSINE_BETA = 0.999;
// Respacing to one step computes 1 - alphasCumprod in float64, which must keep some digits of it.
const MIN_ALPHAS_CUMPROD = 1e-13;

/**
 * The betas of a schedule, one for each timestep, over 0 and under 1.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py:19-63.
 * @throws INVALID_ARGUMENT naming `timesteps`, `betas` or `betas[i]`.
 */
export function makeBetas(config: NoiseScheduleConfig): Float64Array {
  switch (config.name) {
    case 'linear':
      checkTimesteps(config.timesteps, MIN_LINEAR_TIMESTEPS);
      return linearBetas(config.timesteps);
    case 'cosine':
      checkTimesteps(config.timesteps, 1);
      return cosineBetas(config.timesteps);
    case 'custom':
      return customBetas(config.betas);
  }
}

function checkTimesteps(timesteps: number, least: number): void {
  if (!isInteger(timesteps, least, MAX_TIMESTEPS)) {
    throw invalidArgument([
      violation('timesteps', `an integer from ${least} to ${MAX_TIMESTEPS}`, timesteps),
    ]);
  }
}

/** Evenly spaced from 0.1 / T to 20 / T, that is from 1e-4 to 0.02 at T = 1000. */
function linearBetas(timesteps: number): Float64Array {
  const scale = 1000 / timesteps;
  const start = scale * 0.0001;
  const end = scale * 0.02;
  const stride = (end - start) / (timesteps - 1);
  return Float64Array.from({ length: timesteps }, (_, t) => (t === timesteps - 1 ? end : t * stride + start));
}

/** beta_t = min(1 - f((t + 1) / T) / f(t / T), 0.999) with f(u) = cos^2((u + 0.008) / 1.008 * pi / 2). */
function cosineBetas(timesteps: number): Float64Array {
  const f = (u: number) => Math.cos((((u + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  return Float64Array.from({ length: timesteps }, (_, t) =>
    Math.min(1 - f((t + 1) / timesteps) / f(t / timesteps), MAX_COSINE_BETA),
  );
}

function customBetas(betas: readonly number[]): Float64Array {
  if (betas.length < 1 || betas.length > MAX_TIMESTEPS) {
    throw invalidArgument([violation('betas', `1 to ${MAX_TIMESTEPS} numbers`, betas.length)]);
  }
  let previous = 0;
  let alphasCumprod = 1;
  for (const [t, beta] of betas.entries()) {
    // 1 - beta = 1 would leave x_0 unchanged in float64, and every later table divides by what was added.
    if (!(beta < 1 && 1 - beta < 1 && beta >= previous)) {
      const wanted = 'numbers above 0 and below 1 that never decrease';
      throw invalidArgument([violation(`betas[${t}]`, wanted, beta)]);
    }
    previous = beta;
    alphasCumprod *= 1 - beta;
  }
  if (alphasCumprod < MIN_ALPHAS_CUMPROD) {
    const wanted = `betas whose product of 1 - beta is ${MIN_ALPHAS_CUMPROD} or more`;
    throw invalidArgument([violation('betas', wanted, alphasCumprod)]);
  }
  return Float64Array.from(betas);
}

/** SHA-256 in hexadecimal over the betas as little-endian float64: what a checkpoint records of its schedule. */
export function betasHash(betas: Float64Array): string {
  const bytes = Buffer.alloc(betas.length * 8);
  betas.forEach((beta, t) => bytes.writeDoubleLE(beta, t * 8));
  return createHash('sha256').update(bytes).digest('hex');
}
