/** What a service needs before it listens on a network. */

import test from 'ava';

import { readSettings as readSampler } from '../../services/sampler/config.js';
import { readSettings as readTrainer } from '../../services/trainer/config.js';
import { checkSecurity } from '../../services/cli/doctor/security.js';
import { DiffusionError, type Environment } from '../../shared/foundation/index.js';
import { isLoopback } from '../../shared/rpc/index.js';

const TLS = { IP_DIFFUSION_TLS_CERT_FILE: 'tls.crt', IP_DIFFUSION_TLS_KEY_FILE: 'tls.key' };
const IDENTITIES = { IP_DIFFUSION_IDENTITIES_FILE: 'identities.json' };
const OIDC = {
  IP_DIFFUSION_OIDC_ISSUER: 'https://issuer.example',
  IP_DIFFUSION_OIDC_AUDIENCE: 'diffusion',
};
const NETWORK = {
  IP_DIFFUSION_TRAINER_ADDRESS: '0.0.0.0:50061',
  IP_DIFFUSION_SAMPLER_ADDRESS: '0.0.0.0:50062',
};

for (const [name, readSettings] of [
  ['trainer', readTrainer],
  ['sampler', readSampler],
] as const) {
  const refused = (env: Environment): string[] =>
    t0(() => readSettings({ ...NETWORK, ...env }))
      .violations.map(({ field }) => field)
      .sort();

  test(`the ${name} listens on a network with TLS and authentication only`, (t) => {
    const [cert, key, identities] = [
      'IP_DIFFUSION_TLS_CERT_FILE',
      'IP_DIFFUSION_TLS_KEY_FILE',
      'IP_DIFFUSION_IDENTITIES_FILE',
    ];
    t.deepEqual(refused({}), [identities, cert]);
    t.deepEqual(refused(TLS), [identities]);
    t.deepEqual(refused(IDENTITIES), [cert]);
    t.deepEqual(refused({ ...IDENTITIES, [cert]: 'tls.crt' }), [key]);
    t.is(readSettings({ ...NETWORK, ...TLS, ...IDENTITIES }).security.warning, undefined);
    t.is(readSettings({ ...NETWORK, ...TLS, ...OIDC }).security.warning, undefined);
  });

  test(`the ${name} does without where it is told to, with a warning`, (t) => {
    const insecure = { ...NETWORK, IP_DIFFUSION_INSECURE: 'on' };
    t.regex(
      readSettings(insecure).security.warning ?? '',
      /0\.0\.0\.0:5006\d without TLS and authentication/,
    );
    t.regex(readSettings({ ...insecure, ...TLS }).security.warning ?? '', /without authentication:/);
    t.is(readSettings({ ...insecure, ...TLS, ...OIDC }).security.warning, undefined);
    t.is(readSettings({ IP_DIFFUSION_INSECURE: 'on' }).security.warning, undefined);
  });
}

function t0(work: () => unknown): DiffusionError {
  try {
    work();
  } catch (error) {
    if (error instanceof DiffusionError) return error;
  }
  throw new Error('nothing was refused');
}

test('loopback is what only this machine reaches', (t) => {
  for (const address of ['127.0.0.1:1', '127.9.9.9:1', 'localhost:0', '[::1]:50061', 'unix:/run/socket'])
    t.true(isLoopback(address), address);
  for (const address of ['0.0.0.0:1', '[::]:1', ':1', '10.0.0.1:1', '128.0.0.1:1', '127.0.0.1.example:1', ''])
    t.false(isLoopback(address), address);
});

test('without authentication there are no limits for callers unless one is set', (t) => {
  t.is(readTrainer({}).security.access.limits, undefined);
  const { access } = readTrainer({ IP_DIFFUSION_OPEN_CALLS: '7' }).security;
  t.deepEqual(access.limits, { callsPerSecond: 100, openCalls: 7 });
  t.truthy(readTrainer(IDENTITIES).security.access.limits);
});

test('doctor says what services that are started with these variables would do', (t) => {
  t.like(checkSecurity({}), { state: 'ok' });
  t.like(checkSecurity({ ...NETWORK, ...TLS, ...IDENTITIES }), { state: 'ok' });
  const insecure = checkSecurity({ ...NETWORK, IP_DIFFUSION_INSECURE: 'on' });
  t.is(insecure.state, 'warning');
  t.regex(insecure.text, /without TLS and authentication: whoever reaches that address can use it/);
  t.like(checkSecurity(NETWORK), { state: 'wrong' });
});
