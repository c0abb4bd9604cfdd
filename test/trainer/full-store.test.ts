/** A trainer that starts while its store is out of space: it listens and waits, as it does for one that is away. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import test from 'ava';

import { get, makeFolders, openTrainer, settingsFor } from '../integration/trainer-fixture.js';

const LISTING = '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>';
const FULL = '<Error><Code>XMinioStorageFull</Code><Message>no space</Message></Error>';

test('a trainer whose store is full at its start waits for it, and says so', async (t) => {
  const folders = await makeFolders(1);
  const server = createServer((request, response) => {
    const isPut = request.method === 'PUT';
    request.resume().on('end', () => {
      response.writeHead(isPut ? 507 : 200, { 'content-type': 'application/xml' });
      response.end(isPut ? FULL : LISTING);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const trainer = await openTrainer(
    settingsFor(folders, {
      ...{ kind: 'minio', endpoint: '127.0.0.1', port: (server.address() as AddressInfo).port },
      ...{ useTLS: false, region: 'us-east-1', accessKey: 'a', secretKey: 'b', bucket: 'bucket' },
    }),
  );
  await t.throwsAsync(get(trainer.client, 'a-job'), {
    code: 'UNAVAILABLE',
    message: /the service is starting: .*out of space/,
  } as never);
  await trainer.stop();
  server.closeAllConnections();
  server.close();
  await folders.remove();
});
