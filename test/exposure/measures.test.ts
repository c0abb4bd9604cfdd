/** Every measure on a perfect model, where it must find nothing, and on a wrong one, where it must find what is wrong. */
import test from 'ava';
import { at } from '../../shared/foundation/index.js';
import { measureExposure } from '../../shared/exposure/index.js';
import { contractOf, gaussianModel } from '../../studies/exact-scores/closed-forms.js';
import { DATA, finding, held, measured, PERFECT, request, resultOf, scaled } from './models.js';

// Those that share their trajectories are measured once.
const TOGETHER = ['energy_ratio', 'epsilon_norm', 'sliced_wasserstein', 'delta', 'spectrum'];
const perfect = await measureExposure(request({ measures: TOGETHER }));
/** Predicts much more noise than there is. */
const wrong = await measureExposure(request({ measures: TOGETHER, model: scaled(PERFECT, 1.4) }));

for (const [name, figure] of [
  ['energy_ratio', 'ratio'],
  ['epsilon_norm', 'ratio'],
  ['sliced_wasserstein', 'excess'],
  ['delta', 'excess'],
  ['spectrum', 'ratio'],
] as const) {
  test(`${name}: finds nothing in a perfect model, and the error of a wrong one`, (t) => {
    const [holding, points] = held(resultOf(perfect, name), figure);
    t.true(holding >= 0.8 * points, `${holding} of ${points} intervals hold the value of a perfect model`);
    const [stillHolding] = held(resultOf(wrong, name), figure);
    t.true(stillHolding <= 0.5 * points, `${stillHolding} of ${points} hold it for a wrong model`);
  });
}

test('epsilon_norm: a perfect model needs no scaling, a wrong one does', (t) => {
  for (const [name, ideal] of [
    ['suggested k', 0],
    ['suggested b', 1],
    ['suggested constant lambda', 1],
  ] as const) {
    const { value, low, high } = finding(resultOf(perfect, 'epsilon_norm'), name);
    t.true(Math.abs(value - ideal) <= high - low, `${name}: ${value}, ${low} to ${high}`);
  }
  const { low, high } = finding(resultOf(wrong, 'epsilon_norm'), 'suggested constant lambda');
  t.true(low > 1 || high < 1, `${low} to ${high}`);
});

test('delta: what is published is mostly its floor, and the chain error of a perfect model is not 0', (t) => {
  const result = resultOf(perfect, 'delta');
  const [published, floor] = at(result.figures, 1).curves;
  t.true(at(published?.points ?? [], 0).value > 0.2);
  t.true(Math.abs(at(published?.points ?? [], 0).value / at(floor?.points ?? [], 0).value - 1) < 0.15);
  t.true(finding(result, 'chain error').low > 0.4);
  const { value } = finding(result, 'chain error minus floor');
  t.true(Math.abs(value) < 0.03, String(value));
});

test('chain_length: a perfect model is as near from every s; a wrong one is further the longer its chain', async (t) => {
  const more = { images: 200, settings: { chain_length: { lengths: 3 } }, resamples: 40 };
  const [holding, points] = held(await measured('chain_length', more), 'excess');
  t.is(holding, points);
  const few = { lengths: 1, images: 20 };
  t.is((await measured('chain_length', { images: 8, settings: { chain_length: few } })).images, 8);
  const result = await measured('chain_length', { ...more, model: scaled(PERFECT, 1.4) });
  const [short = NaN, middle = NaN, long = NaN] = at(at(result.figures, 0).curves, 0).points.map(
    ({ value }) => value,
  );
  t.true(Math.abs(short) < 0.01 && middle > 0.01 && long > middle, `${short}, ${middle}, ${long}`);
  t.true(finding(result, 'excess of the longest chain').low > 0);
});

test('prediction_error: its deviation is known, its shape is normal, and its scale differs between pixels', async (t) => {
  const result = await measured('prediction_error', {
    settings: { prediction_error: { images: 400, timesteps: 3 } },
  });
  // At the largest timestep x_t says nothing of x_0, which is predicted as 0.
  const { value } = at(at(at(result.figures, 0).curves, 0).points, 2);
  t.true(Math.abs(value - 0.5) < 0.01, String(value));
  const [shape, known] = at(result.figures, 2).curves.map(({ points }) => at(points, 2).value);
  t.true((shape ?? 1) <= 2 / 16, 'the Shapiro-Wilk test finds normal values');
  t.true((known ?? 0) >= 12 / 16, 'the test with a scale finds that most pixels have another one');
});

test('smoothness: the ratio is that of a linear prediction, by finite differences as by the closed form', async (t) => {
  const settings = { smoothness: { images: 200, timesteps: 4 } };
  const byModel = await measured('smoothness', { settings });
  t.is(byModel.images, 200, 'its own limit, which is below that of the request');
  t.regex(at(byModel.notes, 0), /as the model gives it/);
  const { contract, imageSize, predict } = PERFECT;
  const model = { contract, imageSize, predict };
  const byDifferences = await measured('smoothness', { settings, model });
  t.regex(at(byDifferences.notes, 0), /finite differences/);
  const points = (result: typeof byModel, figure: number) => at(at(result.figures, figure).curves, 0).points;
  points(byModel, 1).forEach(({ value }, i) => {
    const { value: differences } = at(points(byDifferences, 1), i);
    t.true(Math.abs(differences / value - 1) < 0.02, `${differences} for ${value}`);
    t.true(
      at(points(byModel, 0), i).value <= value * 1.01,
      'its mean over directions is at most its mean square',
    );
  });
});

test('lambda_sweep: the best lambda of a model that predicts more noise is larger by as much', async (t) => {
  const contract = contractOf(1, 'fixed_small', 'linear');
  const plain = gaussianModel(DATA, contract);
  const settings = { lambda_sweep: { least: 1, most: 1.5, count: 21 } };
  const best = async (factor: number) => {
    const result = await measured('lambda_sweep', { images: 60, settings, model: scaled(plain, factor) });
    return finding(result, 'best lambda by Frechet distance');
  };
  const [right, tooMuch] = [await best(1), await best(1.05)];
  t.true(Math.abs(tooMuch.value - right.value * 1.05) < 0.005, `${tooMuch.value} for ${right.value}`);
  t.true(tooMuch.low > right.value, 'the interval tells them apart');
});
