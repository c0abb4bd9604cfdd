import { once } from 'node:events';
import { connect, type IncomingHttpHeaders } from 'node:http2';

import { status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import test from 'ava';

import { startGrpcServer } from '../../shared/rpc/index.js';
import { trainerWire } from '../../shared/contract/index.js';
import { fakeTrainer } from '../cli/fake-trainer.js';
import { securityOf, SILENT } from './security.js';

/** The status of a call of GetTrainingJob that is made with this header. */
async function statusWith(address: string, timeout: string): Promise<number> {
  const session = connect(`http://${address}`);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/diffusion.trainer.v1.TrainerService/GetTrainingJob',
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': timeout,
  });
  const message = trainerWire.GetTrainingJobRequest.encode({ jobId: 'job-1' }).finish();
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([prefix, message]));
  // An answer without a message has the status in its headers.
  let headers: IncomingHttpHeaders = {};
  for (const event of ['response', 'trailers'])
    stream.on(event, (got: IncomingHttpHeaders) => {
      headers = { ...headers, ...got };
    });
  stream.resume();
  await once(stream, 'close');
  session.close();
  return Number(headers['grpc-status']);
}

for (const timeout of ['99999999H', '99999999M', '99999999S', '2147484S', '597H', '2147483647m', '1H']) {
  test(`a deadline of ${timeout} has not passed when the call comes [fault A24]`, async (t) => {
    const { address } = await fakeTrainer(t);
    t.is(await statusWith(address, timeout), status.OK);
  });
}

test('a deadline of more than 24.8 days counts as no deadline [fault A24]', async (t) => {
  const deadlines: unknown[] = [];
  const server = await startGrpcServer({
    address: '127.0.0.1:0',
    security: securityOf(),
    log: SILENT,
    service: trainerWire.TrainerServiceService,
    serviceName: 'diffusion.trainer.v1.TrainerService',
    implementation: {
      getTrainingJob: (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) => {
        deadlines.push(call.getDeadline());
        callback(null, { job: undefined });
      },
    },
    reflection: false,
    report: () => undefined,
    stallTimeoutMs: 60_000,
  });
  t.teardown(() => server.stop(() => Promise.resolve(), 0));
  for (const timeout of ['99999999H', '597H', '596H']) await statusWith(`127.0.0.1:${server.port}`, timeout);
  const [years, over, under] = deadlines;
  t.deepEqual([years, over], [Infinity, Infinity]);
  t.true(Number.isFinite(under));
});

for (const timeout of ['0H', '0m', '1n']) {
  test(`a deadline of ${timeout} has passed [fault 14]`, async (t) => {
    const { address } = await fakeTrainer(t);
    t.is(await statusWith(address, timeout), status.DEADLINE_EXCEEDED);
  });
}

for (const timeout of ['soon', '', '1', '-1S', '1S, 99999999H']) {
  test(`a deadline of ${JSON.stringify(timeout)} costs one call at most [fault 14]`, async (t) => {
    const { address } = await fakeTrainer(t);
    const answered: readonly number[] = [status.OK, status.INTERNAL];
    t.true(answered.includes(await statusWith(address, timeout)));
    t.is(await statusWith(address, '1M'), status.OK);
  });
}
