/** Metrics on a network: over TLS, for whoever has the token, while both are exchanged. */

import { rename, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';

import test, { type ExecutionContext } from 'ava';

import { DiffusionError } from '../../shared/foundation/index.js';
import { metricRegistry } from '../../shared/metrics/index.js';
import { metricsEndpoint } from '../../shared/rpc/metrics-endpoint.js';
import { temporaryFolder } from '../dataset/folders.js';
import { authority } from './certificates.js';

const trusted = await authority();

async function replaced(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

async function serve(t: ExecutionContext, token = 'first-token\n') {
  const folder = await temporaryFolder(t);
  const [certFile, keyFile, tokenFile] = ['tls.crt', 'tls.key', 'token'].map((name) => join(folder, name));
  if (certFile === undefined || keyFile === undefined || tokenFile === undefined) throw new Error('no paths');
  const { cert, key } = await trusted.issue('localhost');
  await Promise.all([writeFile(certFile, cert), writeFile(keyFile, key), writeFile(tokenFile, token)]);
  const problems: string[] = [];
  const endpoint = await metricsEndpoint(
    {
      ...{ address: '127.0.0.1:0', registry: metricRegistry(), reloadMs: 20, warning: undefined },
      ...{ tokenFile, tls: { certFile, keyFile } },
    },
    ({ message }) => problems.push(message),
  );
  t.teardown(endpoint.close);
  /** The status, and the serial number of the certificate that was shown. */
  const ask = (authorization?: string): Promise<{ status: number | undefined; serial: string }> =>
    new Promise((resolve, reject) => {
      const asked = request(
        {
          ...{ host: '127.0.0.1', servername: 'localhost', port: endpoint.port, path: '/metrics' },
          ...{ ca: trusted.cert, agent: false },
          headers: authorization === undefined ? {} : { authorization },
        },
        (answer) => {
          const { socket } = answer;
          if (!(socket instanceof TLSSocket)) throw new Error('wanted TLS');
          const { serialNumber } = socket.getPeerCertificate();
          answer.resume().on('end', () => {
            resolve({ status: answer.statusCode, serial: serialNumber });
          });
        },
      );
      asked.on('error', reject).end();
    });
  return { certFile, keyFile, tokenFile, ask, problems };
}

test('who has the token reads metrics over TLS, and nobody else', async (t) => {
  const { ask } = await serve(t);
  t.is((await ask('Bearer first-token')).status, 200);
  for (const wrong of [
    undefined,
    '',
    'first-token',
    'Bearer',
    'Bearer other',
    'Bearer first-token2',
    'x'.repeat(7000),
  ])
    t.is((await ask(wrong)).status, 401, wrong);
});

test('a new token and a new certificate count without a restart; what can not be used does not', async (t) => {
  const { ask, certFile, keyFile, tokenFile, problems } = await serve(t);
  const { serial: before } = await ask('Bearer first-token');
  await replaced(tokenFile, 'second-token');
  const other = await trusted.issue('localhost');
  await replaced(keyFile, other.key);
  await replaced(certFile, other.cert);
  for (;;) {
    const { status, serial } = await ask('Bearer second-token');
    if (status === 200 && serial !== before) break;
    await setTimeout(10);
  }
  t.is((await ask('Bearer first-token')).status, 401);
  await replaced(tokenFile, 'two words');
  while (!problems.some((problem) => problem.includes('a file that holds a token'))) await setTimeout(10);
  t.is((await ask('Bearer second-token')).status, 200);
});

test('a file without a token is refused at the start', async (t) => {
  const error = await t.throwsAsync(serve(t, '  \n'), { instanceOf: DiffusionError });
  t.is(error.reason, 'CREDENTIALS_UNUSABLE');
});
