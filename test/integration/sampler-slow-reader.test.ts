/** A client that reads nothing: an HTTP/2 connection by hand, whose windows are closed. */

import { once } from 'node:events';
import { connect, constants, type ClientHttp2Stream } from 'node:http2';

import test, { type ExecutionContext } from 'ava';

import { readSettings, type SamplerServiceSettings } from '../../services/sampler/config.js';
import { samplerWire, samplingWire } from '../../shared/contract/index.js';
import { deferred } from '../../shared/foundation/index.js';
import { fakeEngine } from '../sampler-service/fake-engine.js';
import {
  generate,
  generated,
  generateRequest,
  startFixture,
  type SamplerFixture,
} from '../sampler-service/sampler-fixture.js';
import { commitTiny } from '../sampler-service/tiny-model.js';

const ASKED = {
  count: 64,
  format: samplingWire.ImageFormat.IMAGE_FORMAT_RAW_FLOAT32,
  settings: {
    ...samplingWire.SamplerSettings.create(),
    timesteps: { $case: 'steps' as const, value: 20 },
  },
};

async function start(
  t: ExecutionContext,
  settings: Partial<SamplerServiceSettings>,
): Promise<SamplerFixture> {
  const fixture = await startFixture((store) => commitTiny(store, { step: 1 }), {
    engine: fakeEngine(),
    ...settings,
  });
  t.teardown(() => fixture.close());
  return fixture;
}

/** A Generate call whose client takes its headers and not one byte more. */
async function readingNothing(t: ExecutionContext, port: number): Promise<ClientHttp2Stream> {
  const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
  t.teardown(() => {
    session.destroy();
  });
  await once(session, 'remoteSettings');
  const stream = session.request({
    ':method': 'POST',
    ':path': '/diffusion.sampler.v1.SamplerService/Generate',
    'content-type': 'application/grpc+proto',
    te: 'trailers',
  });
  stream.on('error', () => undefined);
  const message = samplerWire.GenerateRequest.encode(generateRequest(ASKED)).finish();
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([prefix, message]));
  await once(stream, 'response');
  return stream;
}

test.serial('a reader that takes nothing makes nobody else wait [fault 100]', async (t) => {
  const { client, service } = await start(t, { stallTimeoutMs: 600_000 });
  const slow = await readingNothing(t, service.port);
  for (let call = 0; call < 3; call++) t.is((await generated(generate(client, ASKED))).images.size, 64);
  t.false(slow.closed);
});

test.serial(
  'a reader that takes nothing is cut off with a status, and its place is free [fault 100]',
  async (t) => {
    const admission = { ...readSettings({}).admission, calls: 1 };
    const { client, service } = await start(t, { stallTimeoutMs: 300, admission });
    const slow = await readingNothing(t, service.port);
    const { promise: closed, resolve } = deferred();
    slow.once('close', resolve);
    const waits = await generated(generate(client, ASKED));
    await closed;
    // grpc's clients show this code as RESOURCE_EXHAUSTED.
    t.is(slow.rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    t.is(waits.images.size, 64);
  },
);
