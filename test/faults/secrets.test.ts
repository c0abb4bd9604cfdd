/** Planted secrets are in nothing that the services write, log or answer. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { recipeToWire, samplerWire, trainerWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { callUnary, connectSampler, connectTrainer, whenReady } from '../../shared/rpc/index.js';
import { run } from '../cli/sinks.js';
import { authority } from '../rpc/certificates.js';
import { spawnService } from './spawn-service.js';

const folder = await mkdtemp(join(tmpdir(), 'secrets-'));
const left = join(folder, 'left');
await mkdir(left);
const ca = await authority();
const server = await ca.issue('server');

/** Lines that are long enough that no other text has them by chance. */
const SECRETS = {
  token: 'token-3f9c1d7a5b2e4860',
  wrongToken: 'wrong-token-77aa01bc9d',
  accessKey: 'ACCESSKEYPLANTED0123',
  secretKey: 'secret/key+planted=8c1f',
  tracesKey: 'traces-key-planted-5e0b9a',
  resumeKey: 'resume-key-planted-0123456789abcdef',
  jwt: `eyJhbGciOiJub25lIn0.${Buffer.from('{"sub":"planted-subject"}').toString('base64url')}.c2lnbmF0dXJl`,
  tlsKey: server.key.split('\n')[1] ?? '',
};

/** Each secret, and what it looks like in other writings. */
const FORMS = Object.entries(SECRETS).flatMap(([name, secret]) =>
  [
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64').replace(/=+$/, ''),
    Buffer.from(secret).toString('base64url'),
    Buffer.from(secret).toString('hex'),
  ].map((form) => ({ name, form })),
);

function found(text: string): string[] {
  return [...new Set(FORMS.filter(({ form }) => text.includes(form)).map(({ name }) => name))];
}

async function textsIn(path: string): Promise<string> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const texts = files.map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1'));
  return (await Promise.all(texts)).join('\n');
}

test.after.always(() => rm(folder, { recursive: true, force: true }));

test('what would show a secret is found', (t) => {
  t.deepEqual(found(`a line with ${SECRETS.token}`), ['token']);
  t.deepEqual(found(Buffer.from(SECRETS.secretKey).toString('hex')), ['secretKey']);
  t.deepEqual(found('nothing'), []);
});

test('tokens, keys and signatures are in no log, no error and no file [fault 31]', async (t) => {
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  };
  // A hostile or careless S3 server that sends back all that it was sent.
  const echo = createServer((request, response) => {
    const headers = JSON.stringify(request.headers).replaceAll('<', '');
    const body = `<Error><Code>AccessDenied</Code><Message>you sent ${headers}</Message></Error>`;
    response.writeHead(403, { 'content-type': 'application/xml' }).end(body);
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  t.teardown(() => {
    echo.closeAllConnections();
    echo.close();
  });
  const identities = [
    {
      name: 'planted',
      roles: ['admin'],
      tokenSha256: [createHash('sha256').update(SECRETS.token).digest('hex')],
    },
  ];
  const caFile = await file('ca.pem', ca.cert);
  const tokenFile = await file('token', SECRETS.token);
  const environment = {
    IP_DIFFUSION_CACHE: join(left, 'cache'),
    IP_DIFFUSION_LOG_LEVEL: 'trace',
    IP_DIFFUSION_TLS_CERT_FILE: await file('tls.crt', server.cert),
    IP_DIFFUSION_TLS_KEY_FILE: await file('tls.key', server.key),
    IP_DIFFUSION_IDENTITIES_FILE: await file('identities.json', JSON.stringify({ identities })),
    IP_DIFFUSION_OIDC_ISSUER: 'http://127.0.0.1:1',
    IP_DIFFUSION_OIDC_AUDIENCE: 'diffusion',
    IP_DIFFUSION_RESUME_KEY_FILE: await file('resume.key', SECRETS.resumeKey),
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(echo.address() as AddressInfo).port}`,
    OTEL_EXPORTER_OTLP_HEADERS: `api-key=${SECRETS.tracesKey}`,
    IP_DIFFUSION_S3_ENDPOINT: `http://127.0.0.1:${(echo.address() as AddressInfo).port}`,
    IP_DIFFUSION_S3_ACCESS_KEY: SECRETS.accessKey,
    IP_DIFFUSION_S3_SECRET_KEY_FILE: await file('secret-key', SECRETS.secretKey),
  };
  const store = join(left, 'store');
  const trainer = await spawnService('trainer', { ...environment, IP_DIFFUSION_STORE: store }, { cwd: left });
  const overS3 = { ...environment, IP_DIFFUSION_STORE: 's3://bucket/models' };
  const sampler = await spawnService('sampler', overS3, { cwd: left });
  t.not(trainer.address, '');
  t.not(sampler.address, '', sampler.log.join('\n'));

  const answers: string[] = [];
  const tell = async (call: Promise<unknown>): Promise<void> => {
    const answer = await call.catch((error: unknown) => error);
    if (!(answer instanceof DiffusionError))
      answers.push(JSON.stringify(answer, (_k, v: unknown) => (typeof v === 'bigint' ? `${v}` : v)));
    else {
      const { code, reason, message, violations, metadata } = answer;
      answers.push(JSON.stringify({ code, reason, message, violations, metadata }));
    }
  };
  const source = { kind: 'bucket', url: 's3://photos/all', classFolders: false } as const;
  for (const token of [SECRETS.token, SECRETS.wrongToken, SECRETS.jwt]) {
    const security = { ca: caFile, tokenFile: await file('sent', token) };
    const trained = connectTrainer(trainer.address, { security });
    const sampled = connectSampler(sampler.address, { security });
    await Promise.all([whenReady(trained, 10_000), whenReady(sampled, 10_000)]);
    await tell(callUnary(trained, trained.getTrainingJob, { jobId: token.slice(0, 8) }));
    await tell(callUnary(trained, trained.listTrainingJobs, trainerWire.ListTrainingJobsRequest.create()));
    for (const recipe of [{ name: 'one' }, { name: 'bucket', dataset: { source } }]) {
      const request = { recipe: recipeToWire(recipe), requestId: '', validateOnly: false };
      await tell(callUnary(trained, trained.createTrainingJob, request));
    }
    await tell(callUnary(sampled, sampled.listModels, samplerWire.ListModelsRequest.create()));
    await tell(callUnary(sampled, sampled.getModel, { model: 'tiny' }));
    trained.close();
    sampled.close();
  }
  const words = ['jobs', 'list', '--debug', '--json', '--address', trainer.address, '--ca', caFile];
  for (const sent of [tokenFile, await file('sent', SECRETS.wrongToken)]) {
    const { out, err } = await run([...words, '--token-file', sent]);
    answers.push(out, err);
  }
  for (const { child, exited } of [trainer, sampler]) {
    child.kill('SIGTERM');
    await exited;
  }
  // What was refused, and what failed, is there to be searched.
  t.regex(answers.join('\n'), /UNAUTHENTICATED/);
  t.regex(answers.join('\n'), /IDENTITY_PROVIDER_UNAVAILABLE/);
  t.regex(answers.join('\n'), /STORE_ACCESS_DENIED/);
  t.regex(sampler.log.join('\n'), /AccessDenied|denied/i);
  t.regex(sampler.log.join('\n'), /traces can't be sent/);
  const written = await textsIn(left);
  t.regex(written, /"jobId":"one-/);
  t.deepEqual(found(answers.join('\n')), [], 'answers');
  t.deepEqual(found(trainer.log.join('\n')), [], "the trainer's log");
  t.deepEqual(found(sampler.log.join('\n')), [], "the sampler's log");
  t.deepEqual(found(written), [], 'files');
});
