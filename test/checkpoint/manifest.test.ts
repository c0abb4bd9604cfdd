/** The manifest: deterministic bytes, typed refusals, and tolerance of what a newer minor version adds. */

import test from 'ava';
import fc from 'fast-check';
import { DiffusionError } from '../../shared/foundation/index.js';
import { canonicalJson, decodeManifest, emaObject, encodeManifest } from '../../shared/checkpoint/index.js';
import type { Manifest } from '../../shared/checkpoint/index.js';

const hash = 'ab'.repeat(32);

const manifest: Manifest<object> = {
  job: 'job-1',
  model: 'demo',
  step: 200,
  attempt: 2,
  createdAt: '2026-01-02T03:04:05.678Z',
  parent: 100,
  objects: [{ name: 'weights.safetensors', size: 10, sha256: hash }],
  schedule: { name: 'cosine', timesteps: 1000, betasSha256: hash },
  gamma: 0.1,
  counters: { step: 200, samplesSeen: 6400, epoch: 1, position: 2680 },
  datasetManifestSha256: hash,
  emaRates: [0.999, 0.9999],
  engine: {
    name: 'tfjs-node-gpu',
    version: '4.22.0',
    build: 'libtensorflow 2.21.0',
    platform: 'linux-x64',
    threads: 2,
  },
  exposure: {
    ...{ step: 190, images: 8, steps: 10, energyRatio: 0.9, epsilonNormRatio: 1.02 },
    ...{ suggestedLambda: 1.004, suggestedLambdaLow: 0.99, suggestedLambdaHigh: 1.02 },
  },
  recipe: { zeta: 1, alpha: { gamma: 0.1 } },
};

const asIs = { newest: 3, versionOf: () => 1, parse: (recipe: unknown): object => recipe as object };
const bytes = encodeManifest(manifest, asIs);

/** The encoded manifest with part of its text replaced, which must be there. */
function edited(from: string, to: string): Uint8Array {
  const text = Buffer.from(bytes).toString();
  if (!text.includes(from)) throw new Error(`no ${from} in ${text}`);
  return Buffer.from(text.replace(from, to));
}

test('decode(encode(x)) = x', (t) => {
  t.deepEqual(decodeManifest(bytes, asIs), manifest);
});

test('an imported checkpoint needs neither data set nor engine', (t) => {
  const rest: Manifest<object> = { ...manifest, datasetManifestSha256: undefined, engine: undefined };
  const imported = { file: 'ema_0.9999_460000.pt', sha256: hash };
  const decoded = decodeManifest(encodeManifest({ ...rest, imported }, asIs), asIs);
  t.like(decoded, { imported, engine: undefined, datasetManifestSha256: undefined, step: 200 });
  t.throws(() => encodeManifest(rest, asIs), {
    code: 'INTERNAL',
    message: /datasetManifestSha256.*or imported/,
  });
});

test('equal manifests are equal bytes in whatever order their keys stand', (t) => {
  const reversed = Object.fromEntries(Object.entries(manifest).reverse()) as unknown as Manifest<object>;
  t.deepEqual(encodeManifest(reversed, asIs), bytes);
  t.is(canonicalJson({ b: [1, { d: undefined, c: null }], a: 'x' }), '{"a":"x","b":[1,{"c":null}]}');
});

test('unknown fields of a newer minor version are ignored [fault 83, 4]', (t) => {
  t.deepEqual(decodeManifest(edited('{"attempt"', '{"added":{"x":1},"attempt"'), asIs), manifest);
});

test('a manifest has the version that its recipe needs, and a newer one than this build reads is refused by both [fault 83, 106]', (t) => {
  const needing = encodeManifest(manifest, { ...asIs, versionOf: () => 3 });
  t.like(JSON.parse(Buffer.from(needing).toString()), { formatVersion: 3 });
  t.deepEqual(decodeManifest(needing, asIs), manifest);
  t.throws(() => decodeManifest(needing, { ...asIs, newest: 2 }), {
    code: 'FAILED_PRECONDITION',
    message: /at most 2; got 3/,
  });
  const future = Buffer.from('{"formatVersion":7,"everything":"else"}');
  t.throws(() => decodeManifest(future, asIs), { code: 'FAILED_PRECONDITION', message: /at most 3; got 7/ });
});

const faults: readonly [string, Uint8Array, RegExp][] = [
  ['no bytes', new Uint8Array(0), /JSON/],
  ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe]), /UTF-8/],
  ['half a manifest', bytes.subarray(0, bytes.length / 2), /JSON/],
  ['a list', Buffer.from('[]'), /manifest: wanted object; got \[\]/],
  ['no format version', edited('"formatVersion":1', '"formatVersions":1'), /formatVersion.*got nothing/],
  ['format version 0', edited('"formatVersion":1', '"formatVersion":0'), /formatVersion.*got 0/],
  [
    'a negative step',
    edited('},"step":200}', '},"step":-200}'),
    /step: wanted a non-negative integer; got -200/,
  ],
  ['a negative parent', edited('"parent":100,"recipe"', '"parent":-100,"recipe"'), /parent.*got -100/],
  ['a step of 1e400', edited('"samplesSeen":6400', '"samplesSeen":1e400'), /counters.samplesSeen.*got/],
  ['half a step', edited('"samplesSeen":6400', '"samplesSeen":0.5'), /counters.samplesSeen.*got 0.5/],
  [
    'a step past 2^53',
    edited('"samplesSeen":6400', '"samplesSeen":9007199254740993'),
    /counters.samplesSeen/,
  ],
  ['a negative gamma', edited('"gamma":0.1,"job"', '"gamma":-0.1,"job"'), /gamma.*got -0.1/],
  ['a hash that is short', edited(hash, 'ab'), /datasetManifestSha256.*got "ab"/],
  [
    'an object name that climbs',
    edited('weights.safetensors', '../weights'),
    /objects.0.name.*got "..\/weights"/,
  ],
  ['a key twice', edited('"gamma":0.1,"job"', '"gamma":0.1,"gamma":0.2,"job"'), /twice/],
  ['a recipe that is a list', edited('{"alpha":{"gamma":0.1},"zeta":1}', '[]'), /recipe.*got \[\]/],
  ['a recipe nested without end', edited('"zeta":1', `"zeta":${'['.repeat(10_000)}`), /nested deeper/],
];

for (const [name, damaged, message] of faults) {
  test(`${name}: refused as DATA_LOSS [fault 83]`, (t) => {
    t.throws(() => decodeManifest(damaged, asIs), { instanceOf: DiffusionError, code: 'DATA_LOSS', message });
  });
}

test('__proto__ anywhere in a manifest reaches no prototype [fault 83]', (t) => {
  const { counters } = decodeManifest(
    edited('"counters":{', '"__proto__":{"x":1},"counters":{"__proto__":5,'),
    asIs,
  );
  t.is(Object.getPrototypeOf(counters), Object.prototype);
  t.is(({} as Record<string, unknown>)['x'], undefined);
});

test("a recipe that this build can't use does not count as damage: the recipe room says why", (t) => {
  const parse = (): never => {
    throw new DiffusionError('RECIPE_UNSUPPORTED', 'recipe.alpha.gamma: wanted a number below 1; got 3');
  };
  t.throws(() => decodeManifest(bytes, { ...asIs, parse }), {
    code: 'FAILED_PRECONDITION',
    message: /alpha.gamma/,
  });
});

test('encoding refuses what decoding would refuse', (t) => {
  t.throws(() => encodeManifest({ ...manifest, gamma: NaN }, asIs), { code: 'INTERNAL', message: /gamma/ });
  t.throws(() => encodeManifest({ ...manifest, recipe: { lr: Infinity } }, asIs), {
    code: 'INTERNAL',
    message: /Infinity/,
  });
});

test('any flipped bit is a typed error or a well-formed manifest [fault 83]', (t) => {
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(7), (position, bit) => {
      const damaged = Uint8Array.from(bytes);
      damaged[position] = (damaged[position] ?? 0) ^ (1 << bit);
      try {
        t.is(typeof decodeManifest(damaged, asIs).step, 'number');
      } catch (error) {
        t.true(error instanceof DiffusionError && ['DATA_LOSS', 'FAILED_PRECONDITION'].includes(error.code));
      }
    }),
    { numRuns: 1000 },
  );
});

test('an EMA object carries its rate', (t) => {
  t.is(emaObject(0.9999), 'ema_0.9999.safetensors');
});
