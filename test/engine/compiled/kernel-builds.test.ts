/** Which build of the kernels a processor loads. */
import test from 'ava';

import { chosenBuild, type KernelBuild } from '../../../shared/engine/compiled/kernel-builds.js';
import { KERNEL_LEVELS } from '../../../shared/engine/native-kernels/levels.js';
import { DiffusionError } from '../../../shared/foundation/index.js';

const native: KernelBuild = { level: 'native', file: 'n', revision: '1', processor: 'this' };
const levels = KERNEL_LEVELS.map(({ name }) => ({ level: name, file: `${name}.node`, revision: name }));
const having = (...features: string[]) => ({ identity: 'this', features: new Set(features) });
const needsOf = (name: string): readonly string[] =>
  KERNEL_LEVELS.find((level) => level.name === name)?.needs ?? [];

for (const { name, needs } of KERNEL_LEVELS) {
  test(`a processor with just what ${name} needs loads it`, (t) => {
    t.like(chosenBuild({ builds: levels }, 'on', having(...needs)), { level: name });
  });
}

test('each level needs more than the one below, so that the first that runs is the best', (t) => {
  KERNEL_LEVELS.forEach(({ needs }, i) => {
    for (const lower of KERNEL_LEVELS.slice(i + 1))
      t.true(lower.needs.every((feature) => needs.includes(feature)) && lower.needs.length < needs.length);
  });
});

test('a lower level than the best can be named', (t) => {
  const all = having(...needsOf('x86-64-v4-amx'));
  t.like(chosenBuild({ builds: levels }, 'x86-64-v3', all), { level: 'x86-64-v3' });
});

test('a processor without any of the levels goes without kernels, and says so', (t) => {
  t.deepEqual(chosenBuild({ builds: levels }, 'on', having('avx', 'sse2')), {
    reason: `this processor has none of the levels that they were built for (${levels.map(({ level }) => level).join(', ')})`,
    remedy: 'npm run setup, on this machine and with a C++ compiler',
  });
});

test('a build for one processor runs on that one only', (t) => {
  t.like(chosenBuild({ builds: [native] }, 'on', having()), { level: 'native' });
  t.deepEqual(chosenBuild({ builds: [native] }, 'on', { identity: 'another', features: new Set() }), {
    reason: 'they were built for another processor',
    remedy: 'npm run setup, on this machine',
  });
});

test('a level that is named and cannot be used is an error', (t) => {
  const refused = (wanted: string, features: readonly string[]) =>
    t.throws(() => chosenBuild({ builds: levels }, wanted, having(...features)), {
      instanceOf: DiffusionError,
    });
  const v3 = needsOf('x86-64-v3');
  t.like(refused('x86-64-v4-bf16', v3), {
    code: 'FAILED_PRECONDITION',
    reason: 'ENGINE_START',
    message:
      'IP_DIFFUSION_NATIVE_KERNELS is x86-64-v4-bf16, but this processor lacks avx512f, avx512bw, avx512cd, avx512dq, avx512vl, avx512_bf16',
  });
  t.is(
    refused('v5', v3).message,
    'IP_DIFFUSION_NATIVE_KERNELS: wanted on, off, or a level that was built here (x86-64-v4-amx, x86-64-v4-bf16, x86-64-v4, x86-64-v3); got "v5"',
  );
});
