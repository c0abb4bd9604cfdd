/** Who a call is taken for: tokens of the identities file, and of an OpenID Connect provider. */

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import test, { type ExecutionContext } from 'ava';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type CryptoKey } from 'jose';

import { accessSettings, authentication, type AccessSettings } from '../../shared/access/index.js';
import { DiffusionError, environmentReader, type Environment } from '../../shared/foundation/index.js';
import { temporaryFolder } from '../dataset/folders.js';

const sha256 = (token: string): string => createHash('sha256').update(token).digest('hex');

function settingsOf(env: Environment): AccessSettings {
  const reader = environmentReader(env);
  const settings = accessSettings(reader);
  reader.check();
  return { ...settings, reloadMs: 20 };
}

async function identitiesFile(t: ExecutionContext, identities: readonly object[]): Promise<string> {
  const path = join(await temporaryFolder(t), 'identities.json');
  await writeFile(path, JSON.stringify({ identities }));
  return path;
}

async function identify(t: ExecutionContext, env: Environment) {
  const problems: string[] = [];
  const found = await authentication(settingsOf(env), ({ message }) => problems.push(message));
  t.teardown(found.close);
  return {
    problems,
    /** The answer to a call with these headers. */
    with: (...authorization: string[]) => found.identify({ authorization, certificateNames: [] }),
    again: found.identifyAgain,
  };
}

const ALICE = { name: 'alice', roles: ['read', 'sample'], tenant: 'vision', tokenSha256: [sha256('one')] };
const alice = { name: 'alice', roles: ['read', 'sample'], tenant: 'vision' };

test('without settings every call is taken, and nobody is known', async (t) => {
  const calls = await identify(t, {});
  t.is(await calls.with('Bearer anything'), undefined);
});

test('a token of the file is its identity; whatever else comes gets one and the same refusal [fault 27]', async (t) => {
  const path = await identitiesFile(t, [ALICE, { name: 'bob', roles: [], tokenSha256: [sha256('two')] }]);
  const calls = await identify(t, { IP_DIFFUSION_IDENTITIES_FILE: path });
  t.deepEqual(await calls.with('Bearer one'), alice as never);
  t.deepEqual(await calls.with('bearer two'), { name: 'bob', roles: [], tenant: 'bob' });
  const wrong = [
    [],
    [''],
    ['one'],
    ['Basic one'],
    ['Bearer '],
    ['Bearer three'],
    ['Bearer one', 'Bearer one'],
  ];
  const hash = [`Bearer ${sha256('one')}`];
  const refusals = await Promise.all(
    [...wrong, hash, [`Bearer ${'x'.repeat(100_000)}`], ['Bearer a.b.c'], ['Bearer öne']].map((headers) =>
      t.throwsAsync(calls.with(...headers), { instanceOf: DiffusionError, code: 'UNAUTHENTICATED' }),
    ),
  );
  t.is(new Set(refusals.map(({ message }) => message)).size, 1);
});

test('the file is read again when it changes, and one that is wrong leaves the last good one', async (t) => {
  const path = await identitiesFile(t, [ALICE]);
  const calls = await identify(t, { IP_DIFFUSION_IDENTITIES_FILE: path });
  await writeFile(path, '{ "identities": [ { "name": "mallory"');
  while (calls.problems.length === 0) await setTimeout(10);
  t.deepEqual(await calls.with('Bearer one'), alice as never);
  await writeFile(path, JSON.stringify({ identities: [{ ...ALICE, tokenSha256: [sha256('new')] }] }));
  while ((await calls.with('Bearer new').catch(() => undefined)) === undefined) await setTimeout(10);
  await t.throwsAsync(calls.with('Bearer one'), { code: 'UNAUTHENTICATED' });
});

test('a file of identities that is wrong is refused by its places, and shows no token', async (t) => {
  for (const [identities, message] of [
    [[{ ...ALICE, token: 'plain' }], /unrecognized_keys/],
    [[{ ...ALICE, tokenSha256: ['one'] }], /identities\.0\.tokenSha256\.0/],
    [[{ ...ALICE, roles: ['root'] }], /identities\.0\.roles\.0/],
    [[ALICE, { ...ALICE, tokenSha256: [] }], /each name once/],
    [[ALICE, { ...ALICE, name: 'bob' }], /each token once/],
    [[{ ...ALICE, name: 'oidc:alice' }], /identities\.0\.name/],
  ] as const) {
    const path = await identitiesFile(t, identities);
    const opened = authentication(settingsOf({ IP_DIFFUSION_IDENTITIES_FILE: path }), () => undefined);
    const error = await t.throwsAsync(opened, { instanceOf: DiffusionError, message });
    t.is(error.reason, 'CREDENTIALS_UNUSABLE');
    t.notRegex(error.message, /plain|one"/);
  }
});

/** An OpenID Connect provider on this machine, whose keys can be exchanged. */
async function provider(t: ExecutionContext) {
  const keys = new Map<string, { readonly privateKey: CryptoKey; readonly jwk: object }>();
  const asked: string[] = [];
  const state = { up: true };
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (!state.up) {
      response.writeHead(503).end();
      return;
    }
    const answer =
      request.url === '/keys'
        ? { keys: [...keys.values()].map(({ jwk }) => jwk) }
        : { issuer, jwks_uri: `${issuer}/keys` };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const addKey = async (kid: string): Promise<void> => {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    keys.set(kid, { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } });
  };
  await addKey('first');
  return {
    issuer,
    asked,
    state,
    addKey,
    removeKey: (kid: string) => keys.delete(kid),
    env: { IP_DIFFUSION_OIDC_ISSUER: issuer, IP_DIFFUSION_OIDC_AUDIENCE: 'diffusion' },
    token: async (claims: Readonly<Record<string, unknown>> = {}, kid = 'first'): Promise<string> => {
      const key = keys.get(kid)?.privateKey ?? (await generateKeyPair('ES256')).privateKey;
      const now = Math.floor(Date.now() / 1000);
      const defaults = { iss: issuer, aud: 'diffusion', sub: 'carol', exp: now + 60 };
      return new SignJWT({ ...defaults, ...claims }).setProtectedHeader({ alg: 'ES256', kid }).sign(key);
    },
  };
}

test('a token of the provider is an identity, with the roles and the tenant of its claims', async (t) => {
  const { env, token } = await provider(t);
  const calls = await identify(t, env);
  const claims = { roles: ['read', 'train', 'something else'], tenant: 'vision' };
  const carol = { name: 'oidc:carol', roles: ['read', 'train'], tenant: 'vision' };
  t.deepEqual(await calls.with(`Bearer ${await token(claims)}`), carol as never);
  t.deepEqual(await calls.with(`Bearer ${await token({ roles: 'admin read' })}`), {
    ...{ name: 'oidc:carol', roles: ['read', 'admin'], tenant: 'oidc:carol' },
  });
});

test('claims under other names are taken where settings say so', async (t) => {
  const { env, token } = await provider(t);
  const names = { IP_DIFFUSION_OIDC_ROLES_CLAIM: 'groups', IP_DIFFUSION_OIDC_TENANT_CLAIM: 'org' };
  const calls = await identify(t, { ...env, ...names });
  const identity = await calls.with(
    `Bearer ${await token({ groups: ['sample'], org: 'o', roles: ['admin'] })}`,
  );
  t.deepEqual(identity, { name: 'oidc:carol', roles: ['sample'], tenant: 'o' });
});

test('expired, early, foreign, unsigned and forged tokens get the refusal that no token gets [fault 27]', async (t) => {
  const { issuer, env, token } = await provider(t);
  const calls = await identify(t, env);
  const now = Math.floor(Date.now() / 1000);
  const payload = { iss: issuer, aud: 'diffusion', sub: 'carol', exp: now + 60 };
  const good = await token();
  const shared = new SignJWT(payload).setProtectedHeader({ alg: 'HS256', kid: 'first' });
  const tokens = [
    await token({ exp: now - 120 }),
    await token({ nbf: now + 120 }),
    await token({ aud: 'another service' }),
    await token({ iss: 'https://elsewhere.example' }),
    await token({ exp: undefined }),
    await token({ sub: undefined }),
    await token({ sub: 'a\nb' }),
    await token({ tenant: 7 }),
    await token({}, 'unknown key'),
    new UnsecuredJWT(payload).encode(),
    await shared.sign(Buffer.from('a secret of thirty-two characters')),
    `${good.slice(0, -4)}AAAA`,
    good.split('.').slice(0, 2).join('.'),
    `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1] ?? ''}.`,
  ];
  const refusals = await Promise.all(
    [...tokens.map((each) => [`Bearer ${each}`]), []].map((headers) =>
      t.throwsAsync(calls.with(...headers), { instanceOf: DiffusionError, code: 'UNAUTHENTICATED' }),
    ),
  );
  t.is(new Set(refusals.map(({ message }) => message)).size, 1);
  // The causes are for the log; they differ, and hold nothing of a token.
  const causes = refusals.map(({ cause }) => String(cause));
  t.like(causes, {
    0: 'the token is not valid: ERR_JWT_EXPIRED (claim exp)',
    2: 'the token is not valid: ERR_JWT_CLAIM_VALIDATION_FAILED (claim aud)',
    9: 'the token is not known, and is no JWT',
    14: 'there is no token',
  });
  t.false(causes.some((cause) => tokens.some((each) => cause.includes(each.slice(0, 10)))));
  t.truthy(await calls.with(`Bearer ${good}`));
  // Within the clock skew.
  t.truthy(await calls.with(`Bearer ${await token({ exp: now - 10 })}`));
});

test('keys of the provider are exchanged while the service runs', async (t) => {
  const { env, token, addKey, removeKey, asked } = await provider(t);
  const found = await authentication(settingsOf(env), () => undefined, { newKeysAfterMs: 0 });
  const call = (bearer: string) =>
    found.identify({ authorization: [`Bearer ${bearer}`], certificateNames: [] });
  t.truthy(await call(await token()));
  t.deepEqual(asked, ['/.well-known/openid-configuration', '/keys']);
  await addKey('second');
  const old = await token();
  removeKey('first');
  t.truthy(await call(await token({}, 'second')));
  await t.throwsAsync(call(old), { code: 'UNAUTHENTICATED' });
});

test('a provider that is down is UNAVAILABLE for its tokens, and for nobody else', async (t) => {
  const { env, token, state } = await provider(t);
  const path = await identitiesFile(t, [ALICE]);
  const calls = await identify(t, { ...env, IP_DIFFUSION_IDENTITIES_FILE: path });
  state.up = false;
  const jwt = `Bearer ${await token()}`;
  const error = await t.throwsAsync(calls.with(jwt), { instanceOf: DiffusionError });
  t.is(error.reason, 'IDENTITY_PROVIDER_UNAVAILABLE');
  t.true((error.retryAfterMs ?? 0) > 0);
  t.deepEqual(await calls.with('Bearer one'), alice as never);
  await t.throwsAsync(calls.with('Bearer no-jwt'), { code: 'UNAUTHENTICATED' });
  state.up = true;
  t.truthy(await calls.with(jwt));
});

test('settings of the provider that are wrong are named', (t) => {
  const error = t.throws(
    () =>
      settingsOf({
        IP_DIFFUSION_OIDC_ISSUER: 'http://issuer.example',
        IP_DIFFUSION_OIDC_JWKS_URL: 'ftp://issuer.example',
        IP_DIFFUSION_OIDC_ALGORITHMS: 'none,HS256',
        IP_DIFFUSION_OIDC_CLOCK_SKEW_SECONDS: '61',
      }),
    { instanceOf: DiffusionError },
  );
  t.deepEqual(error.violations.map(({ field }) => field).sort(), [
    'IP_DIFFUSION_OIDC_ALGORITHMS',
    'IP_DIFFUSION_OIDC_AUDIENCE',
    'IP_DIFFUSION_OIDC_CLOCK_SKEW_SECONDS',
    'IP_DIFFUSION_OIDC_ISSUER',
    'IP_DIFFUSION_OIDC_JWKS_URL',
  ]);
});

test('a token that was good is good no more when it has run out [fault A35]', async (t) => {
  const { env, token } = await provider(t);
  const calls = await identify(t, env);
  const now = Math.floor(Date.now() / 1000);
  const bearer = async (exp: number) => ({
    authorization: [`Bearer ${await token({ exp })}`],
    certificateNames: [],
  });
  const good = await bearer(now + 60);
  const identity = await calls.with(...good.authorization);
  if (identity === undefined) throw new Error('the token was refused');
  t.is(calls.again(good, identity), identity);
  // Within the 30 seconds by which clocks may differ.
  t.is(calls.again(await bearer(now - 1), identity), identity);
  const old = await bearer(now - 40);
  const error = t.throws(() => calls.again(old, identity), { instanceOf: DiffusionError });
  t.is(error.code, 'UNAUTHENTICATED');
});
