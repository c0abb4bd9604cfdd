/** Learning rates and EMA weights as they change over a run. */
import test from 'ava';
import fc from 'fast-check';
import { emaDecay, learningRateAt } from '../../shared/optimizer/index.js';

test('a rate without annealing is constant', (t) => {
  for (const step of [0, 1, 1e6]) t.is(learningRateAt({ learningRate: 1e-4, annealSteps: 0 }, step), 1e-4);
});

test('an annealed rate falls in a straight line to 0 and stays there', (t) => {
  const rates = [0, 25, 50, 100, 150].map((step) =>
    learningRateAt({ learningRate: 2, annealSteps: 100 }, step),
  );
  t.deepEqual(rates, [2, 1.5, 1, 0, 0]);
});

test('a cosine anneals from the rate to 0, through half of it half-way', (t) => {
  const rates = [0, 50, 100, 150].map((step) =>
    learningRateAt({ learningRate: 2, annealSteps: 100, schedule: 'cosine' }, step),
  );
  t.deepEqual(
    rates.map((rate) => Number(rate.toFixed(12))),
    [2, 1, 0, 0],
  );
});

test('a warm-up rises in a straight line to the rate, whatever follows', (t) => {
  const warmed = { learningRate: 2, warmUpSteps: 4 };
  const rates = (annealSteps: number) =>
    [0, 1, 3, 8].map((step) => learningRateAt({ ...warmed, annealSteps }, step));
  t.deepEqual(rates(0), [0.5, 1, 2, 2]);
  t.deepEqual(rates(16), [0.5, 0.9375, 1.625, 1]);
});

test('the decay warms up to its rate and never passes it', (t) => {
  t.is(emaDecay(0.9999, 0, false), 0.9999);
  t.is(emaDecay(0.9999, 0, true), 0.1);
  t.is(emaDecay(0.9999, 90, true), 0.91);
  t.is(emaDecay(0.9, 1e9, true), 0.9);
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 0.99999, noNaN: true }), fc.nat(), (rate, updates) => {
      const [now, next] = [emaDecay(rate, updates, true), emaDecay(rate, updates + 1, true)];
      t.true(now <= next && next <= rate);
    }),
  );
});
