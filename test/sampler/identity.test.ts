/**
 * The paper's method seen from the sampler: input perturbation is training on a little more noise, and epsilon scaling.
 * Both networks are written down in closed form, for data in which every pixel is N(TOY_MEAN, TOY_DEVIATION^2).
 */
import test from 'ava';
import fc from 'fast-check';
import { at } from '../../shared/foundation/index.js';
import { deriveKey, gaussian } from '../../shared/random/index.js';
import { diffusionTables, perturbNoise, qSample } from '../../shared/noise/index.js';
import { drain, SAMPLERS, samplerPlan, solver } from '../../shared/sampler/index.js';
import type { NetworkRow, Predict } from '../../shared/sampler/index.js';
import { collect, TOY_DEVIATION, TOY_MEAN, toyContract, toyNoise } from './toy.js';

const contract = toyContract();
const tables = diffusionTables(contract.betas);
const gammas = fc.double({ min: 0.01, max: 0.5, noNaN: true });

/** What a network is trained to predict from y = sqrt(ab) x_0 + sqrt(1 - ab) (epsilon + gamma xi). */
type Target = 'epsilon' | 'normalised' | 'unnormalised';

/**
 * E[target | y] = Cov(target, y) / Var(y) (y - E[y]): all three are normal. Each target is written as
 * a epsilon + b xi.
 */
function optimum(target: Target, gamma: number): (y: number, t: number) => number {
  const weights = {
    epsilon: [1, 0],
    normalised: [1 / Math.sqrt(1 + gamma ** 2), gamma / Math.sqrt(1 + gamma ** 2)],
    unnormalised: [1, gamma],
  } as const;
  const [ofEpsilon, ofXi] = weights[target];
  return (y, t) => {
    const alphasCumprod = at(tables.alphasCumprod, t);
    const covariance = Math.sqrt(1 - alphasCumprod) * (ofEpsilon + gamma * ofXi);
    const variance = alphasCumprod * TOY_DEVIATION ** 2 + (1 - alphasCumprod) * (1 + gamma ** 2);
    return (covariance / variance) * (y - Math.sqrt(alphasCumprod) * TOY_MEAN);
  };
}

function network(target: Target, gamma: number): Predict {
  const predict = optimum(target, gamma);
  return ({ xT, t }: NetworkRow) => Promise.resolve(xT.map((value) => predict(value, t)));
}

test('the closed form is the regression on y as the trainer makes it', (t) => {
  const [gamma, step, draws] = [0.4, 400, 200_000];
  const draw = (position: number) => gaussian(deriveKey(5n, 'identity'), [position], draws);
  const [epsilon, xi] = [draw(1), draw(2)];
  const xStart = draw(0).map((value) => TOY_MEAN + TOY_DEVIATION * value);
  const y = qSample(tables, xStart, step, perturbNoise(epsilon, xi, gamma));
  const mean = y.reduce((sum, value) => sum + value, 0) / draws;
  const covariance = y.reduce((sum, value, e) => sum + (value - mean) * at(epsilon, e), 0);
  const slope = covariance / y.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const predict = optimum('epsilon', gamma);
  t.true(Math.abs(slope - (predict(1, step) - predict(0, step))) < 0.005);
});

test('the optimum of DDPM-IP is that of DDPM-y over sqrt(1 + gamma^2), or over 1 + gamma^2 unnormalised', (t) => {
  const values = fc.double({ min: -5, max: 5, noNaN: true });
  fc.assert(
    fc.property(gammas, values, fc.integer({ min: 0, max: 999 }), (gamma, y, step) => {
      const ofIp = optimum('epsilon', gamma)(y, step);
      const close = (value: number) => Math.abs(value - ofIp) <= 1e-12 * Math.abs(ofIp);
      t.true(close(optimum('normalised', gamma)(y, step) / Math.sqrt(1 + gamma ** 2)));
      t.true(close(optimum('unnormalised', gamma)(y, step) / (1 + gamma ** 2)));
    }),
  );
});

for (const sampler of SAMPLERS) {
  test(`${sampler}: DDPM-y with epsilon scaled by sqrt(1 + gamma^2) gives the images of DDPM-IP`, async (t) => {
    const noise = toyNoise(12);
    for (const gamma of [0.1, 0.15, 0.4]) {
      for (const [target, b] of [
        ['normalised', Math.sqrt(1 + gamma ** 2)],
        ['unnormalised', 1 + gamma ** 2],
      ] as const) {
        const settings = { sampler, steps: 12, clipDenoised: false } as const;
        const plain = samplerPlan(settings, contract);
        const scaled = samplerPlan({ ...settings, epsilonScaling: { k: 0, b } }, contract);
        const ofIp = await collect(solver({ plan: plain, predict: network('epsilon', gamma), noise }));
        const ofY = await collect(solver({ plan: scaled, predict: network(target, gamma), noise }));
        ofIp.forEach(({ sample }, step) => {
          sample.forEach((value, e) => {
            t.true(Math.abs(value - at(at(ofY, step).sample, e)) < 2e-4, `${target}, step ${step}`);
          });
        });
        // Not because nothing depends on it: DDPM-y without scaling draws other images.
        const unscaled = await drain(solver({ plan: plain, predict: network(target, gamma), noise }));
        t.true(unscaled.some((value, e) => Math.abs(value - at(at(ofIp, 11).sample, e)) > 2e-3));
      }
    }
  });
}
