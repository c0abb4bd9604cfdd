/** What a service says of itself. */

import test from 'ava';

import { readSettings } from '../../services/sampler/config.js';
import { serverInfoWire } from '../../shared/contract/index.js';
import type { Environment } from '../../shared/foundation/index.js';
import type { EngineKnown } from '../../shared/probe/index.js';
import { allSettings, isOpen } from '../../shared/settings/index.js';
import { SAMPLER_SETTINGS } from '../../services/sampler/settings.js';
import { serverInfo } from '../../shared/rpc/index.js';
import { readiness } from '../../shared/rpc/readiness.js';

const { Authentication, EngineState } = serverInfoWire;
const SECRET = {
  IP_DIFFUSION_STORE: 's3://bucket/models',
  IP_DIFFUSION_S3_ENDPOINT: 'http://minio:9000',
  IP_DIFFUSION_S3_ACCESS_KEY: 'planted-access',
  IP_DIFFUSION_S3_SECRET_KEY: 'planted-secret',
};

function infoOf(env: Environment, engine: EngineKnown = { kind: 'unknown' }) {
  const ready = readiness(() => undefined);
  return serverInfo({
    ...{ protocol: 'diffusion.sampler.v1', startedMs: 5, settings: readSettings(env), engine },
    readiness: ready,
  });
}

test('limits are those in force, and nothing secret is said', (t) => {
  const info = infoOf({ ...SECRET, IP_DIFFUSION_SAMPLER_MAX_IMAGES: '7', IP_DIFFUSION_COMMIT: 'abc123' });
  t.deepEqual(
    info.limits.find(({ name }) => name === 'max_images'),
    { name: 'max_images', value: 7n, unit: '', rule: '' },
  );
  t.like(
    info.limits.find(({ name }) => name === 'stall_timeout_ms'),
    { value: 60_000n, unit: 'ms' },
  );
  t.like(info, { commit: 'abc123', ready: false, problems: ['the service is starting'], tls: false });
  t.is(info.authentication, Authentication.AUTHENTICATION_NONE);
  t.deepEqual(info.features, ['reflection']);
  t.notRegex(JSON.stringify(serverInfoWire.ServerInfo.toJSON(info)), /planted/);
});

test('a limit without a number says what holds instead', (t) => {
  const limitOf = (env: Environment, name: string) => infoOf(env).limits.find((limit) => limit.name === name);
  t.deepEqual(limitOf({}, 'models_mib'), {
    ...{ name: 'models_mib', value: 0n, unit: 'MiB' },
    rule: 'half of the memory of the machine, or of the container',
  });
  t.like(limitOf({ IP_DIFFUSION_SAMPLER_MODELS_MIB: '5' }, 'models_mib'), { value: 5n, rule: '' });
  t.regex(limitOf({}, 'calls_per_second')?.rule ?? '', /^100 with authentication/);
  // Of all integers in the tables none is left out.
  const integers = Object.entries(allSettings(SAMPLER_SETTINGS)).filter(
    ([, setting]) => isOpen(setting) && setting.kind.isInteger === true,
  );
  t.is(infoOf({}).limits.length, integers.length);
});

test('the way of authentication is told', (t) => {
  const [file, oidc] = [
    { IP_DIFFUSION_IDENTITIES_FILE: 'identities.json' },
    { IP_DIFFUSION_OIDC_ISSUER: 'https://issuer.example', IP_DIFFUSION_OIDC_AUDIENCE: 'us' },
  ];
  t.is(infoOf(file).authentication, Authentication.AUTHENTICATION_IDENTITIES);
  t.is(infoOf(oidc).authentication, Authentication.AUTHENTICATION_OIDC);
  t.is(infoOf({ ...file, ...oidc }).authentication, Authentication.AUTHENTICATION_IDENTITIES_OR_OIDC);
});

test('an engine is what its try has shown', (t) => {
  t.is(infoOf({}).engine?.state, EngineState.ENGINE_STATE_UNKNOWN);
  const failed = infoOf({}, { kind: 'failed', problem: 'no libtensorflow' });
  t.like(failed.engine, { state: EngineState.ENGINE_STATE_FAILED, problem: 'no libtensorflow' });
  const build = {
    name: 'compiled',
    version: '4',
    library: 'tensorflow 2.21.0',
    platform: 'linux',
    threads: 2,
  } as const;
  t.like(infoOf({}, { kind: 'started', build }).engine, {
    ownKernels: true,
    threads: 2,
    library: 'tensorflow 2.21.0',
  });
  const without = { ...build, withoutKernels: { reason: 'switched off' } };
  t.like(infoOf({}, { kind: 'started', build: without }).engine, {
    ownKernels: false,
    withoutKernels: 'switched off',
  });
});
