/** What requests take while they come, sent by hand over HTTP/2. */

import { once } from 'node:events';
import {
  connect,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2';

import test, { type ExecutionContext } from 'ava';

import { startGrpcServer, unary, type ReceivingLimits } from '../../shared/rpc/index.js';
import { trainerWire } from '../../shared/contract/index.js';
import { securityOf, SILENT } from './security.js';

const SERVICE = 'diffusion.trainer.v1.TrainerService';
const KIB = 1024;

async function serve(t: ExecutionContext, receiving: ReceivingLimits): Promise<ClientHttp2Session> {
  const answering = { report: (error: unknown) => t.fail(String(error)), stallTimeoutMs: 60_000 };
  const { getTrainingJob } = trainerWire.TrainerServiceService;
  const server = await startGrpcServer({
    address: '127.0.0.1:0',
    service: { getTrainingJob },
    serviceName: SERVICE,
    implementation: { getTrainingJob: unary(() => ({ job: undefined }), answering) },
    reflection: false,
    security: securityOf(),
    log: SILENT,
    receiving,
    ...answering,
  });
  const session = connect(`http://127.0.0.1:${server.port}`);
  t.teardown(async () => {
    session.destroy();
    await server.stop(() => Promise.resolve(), 1000);
  });
  return session;
}

/** A request that says that it has this many bytes, of which so many come. */
function request(session: ClientHttp2Session, length: number, sent: number): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': `/${SERVICE}/GetTrainingJob`,
    'content-type': 'application/grpc+proto',
    te: 'trailers',
  });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(length, 1);
  stream.on('error', () => undefined);
  stream.write(Buffer.concat([prefix, Buffer.alloc(sent)]));
  return stream;
}

/** The status that comes, and its reason. */
async function answer(stream: ClientHttp2Stream): Promise<[status: string, details: string]> {
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  const details = Buffer.from(String(headers['grpc-status-details-bin']), 'base64').toString('latin1');
  return [String(headers['grpc-status']), details];
}

test('requests that never end are refused when all together are too large, and then others are served [fault 6, A38]', async (t) => {
  const session = await serve(t, { maxBytes: 300 * KIB, timeoutMs: 60_000 });
  const slow = [request(session, 200 * KIB, 100 * KIB), request(session, 200 * KIB, 100 * KIB)];
  const [status, details] = await answer(request(session, 200 * KIB, 150 * KIB));
  t.is(status, '8');
  t.regex(details, /BUSY/);
  t.regex(details, /RetryInfo/);
  for (const each of slow) each.close();
  const whole = request(session, 0, 0);
  // Both before the end: the second may follow at once.
  const [response, end] = [once(whole, 'response'), once(whole.resume(), 'trailers')];
  whole.end();
  const [headers] = (await response) as [IncomingHttpHeaders];
  t.is(Number(headers[':status']), 200);
  const [trailers] = (await end) as [IncomingHttpHeaders];
  t.is(trailers['grpc-status'], '0');
});

test('a request that does not become whole in time is refused [fault 11]', async (t) => {
  const session = await serve(t, { maxBytes: 300 * KIB, timeoutMs: 100 });
  const [status] = await answer(request(session, 200 * KIB, 100));
  t.is(status, '4');
});

test('refused requests give back their part of the connection, however many they are [fault A38]', async (t) => {
  const session = await serve(t, { maxBytes: 50 * KIB, timeoutMs: 60_000 });
  // Together far more than a connection may send without being read.
  for (let refused = 0; refused < 40; refused++) {
    const [status] = await answer(request(session, 200 * KIB, 150 * KIB));
    t.is(status, '8');
  }
  const whole = request(session, 0, 0);
  const response = once(whole, 'response');
  whole.resume().end();
  const [headers] = (await response) as [IncomingHttpHeaders];
  t.is(Number(headers[':status']), 200);
});
