/** What `serve` hands to the services, and what a service does with it. */

import { resolve } from 'node:path';

import test from 'ava';
import pino from 'pino';

import { besides, serviceVariables } from '../../services/cli/serve-options.js';
import { readSettings } from '../../services/sampler/config.js';
import { startSampler } from '../../services/sampler/start-sampler.js';
import { temporaryFolder } from '../dataset/folders.js';
import { run } from './sinks.js';

const NOTHING = {
  ...{ store: undefined, device: undefined, tlsCert: undefined, tlsKey: undefined, tlsClientCa: undefined },
  ...{
    metricsAddress: undefined,
    identities: undefined,
    oidcIssuer: undefined,
    oidcAudience: undefined,
    insecure: false,
  },
};

test('options become variables, and what is not given stays as the environment has it', (t) => {
  t.deepEqual(serviceVariables(NOTHING), {});
  t.deepEqual(
    serviceVariables({
      ...{
        store: 'folder',
        device: 'cuda',
        tlsCert: 'crt',
        tlsKey: 'key',
        tlsClientCa: 'ca',
        identities: 'who',
      },
      metricsAddress: '127.0.0.1:9464',
      ...{ oidcIssuer: 'https://issuer', oidcAudience: 'us', insecure: true },
      ...{ dataRoot: ['/data', 'more'], dataBucket: ['photos'] },
    }),
    {
      IP_DIFFUSION_STORE: 'folder',
      IP_DIFFUSION_DEVICE: 'cuda',
      IP_DIFFUSION_TLS_CERT_FILE: 'crt',
      IP_DIFFUSION_TLS_KEY_FILE: 'key',
      IP_DIFFUSION_TLS_CLIENT_CA_FILE: 'ca',
      IP_DIFFUSION_METRICS_ADDRESS: '127.0.0.1:9464',
      IP_DIFFUSION_IDENTITIES_FILE: 'who',
      IP_DIFFUSION_OIDC_ISSUER: 'https://issuer',
      IP_DIFFUSION_OIDC_AUDIENCE: 'us',
      IP_DIFFUSION_INSECURE: 'on',
      IP_DIFFUSION_DATA_ROOTS: `/data,${resolve('more')}`,
      IP_DIFFUSION_DATA_BUCKETS: 'photos',
    },
  );
});

test('of two services the metrics of the second have the next port', (t) => {
  const name = 'IP_DIFFUSION_METRICS_ADDRESS';
  t.deepEqual(besides({ [name]: '[::1]:9464', more: 'x' }), { [name]: '[::1]:9465', more: 'x' });
  t.deepEqual(besides({ [name]: '127.0.0.1:0' }), { [name]: '127.0.0.1:0' });
  t.deepEqual(besides({}), {});
});

test('a service that is insecure because it was told to says so in its log', async (t) => {
  const lines: string[] = [];
  const env = {
    IP_DIFFUSION_SAMPLER_ADDRESS: '0.0.0.0:0',
    IP_DIFFUSION_INSECURE: 'on',
    IP_DIFFUSION_STORE: await temporaryFolder(t),
  };
  const service = await startSampler(readSettings(env), pino({}, { write: (line) => lines.push(line) }));
  await service.stop();
  const warnings = lines.map((line) => JSON.parse(line) as { level: number; msg: string });
  t.true(
    warnings.some(
      ({ level, msg }) => level === 40 && /0\.0\.0\.0:0 without TLS and authentication/.test(msg),
    ),
  );
});

test('the help of serve names what a network needs', async (t) => {
  const { out } = await run(['serve', 'trainer', '--help']);
  for (const option of [
    '--tls-cert',
    '--tls-key',
    '--tls-client-ca',
    '--identities',
    '--insecure',
    '--data-root',
  ])
    t.true(out.includes(option), option);
});
