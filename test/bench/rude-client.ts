/** A client over raw HTTP/2 that behaves badly, again and again. */
import { once } from 'node:events';
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { samplerSettingsToWire, samplerWire } from '../../shared/contract/index.js';
import { generateRequest } from '../sampler-service/sampler-fixture.js';
import { framed, openCall } from './grpc-frames.js';

export interface RudeTask {
  readonly work: 'rude';
  readonly address: string;
  readonly seconds: number;
}

const PATH = '/diffusion.sampler.v1.SamplerService/Generate';
/** Another address of this machine than that of the honest clients: a caller of its own. */
const OWN_ADDRESS = '127.0.0.2';

type Manner = (session: ClientHttp2Session, request: Buffer) => Promise<void>;

const MANNERS: Readonly<Record<string, Manner>> = {
  'calls that are reset at once': async (session, request) => {
    for (let i = 0; i < 300; i++) {
      const stream = openCall(session, PATH);
      stream.write(request);
      stream.close(constants.NGHTTP2_CANCEL);
    }
    await delay(200);
  },
  'calls whose request never comes': async (session) => {
    for (let i = 0; i < 100; i++) openCall(session, PATH);
    await delay(2000);
  },
  'calls that are never read': async (session, request) => {
    for (let i = 0; i < 20; i++) openCall(session, PATH).pause().end(request);
    await delay(2000);
  },
  'requests of random bytes': async (session) => {
    for (let i = 0; i < 100; i++) openCall(session, PATH).end(framed(Buffer.alloc(500, 0x10 + i)));
    await delay(200);
  },
  'a message that is longer than it says': async (session, request) => {
    const lying = Buffer.from(request);
    lying.writeUInt32BE(0xffffffff, 1);
    openCall(session, PATH).end(lying);
    await delay(200);
  },
  pings: async (session) => {
    for (let i = 0; i < 500; i++) session.ping(() => undefined);
    await delay(200);
  },
};

/** @returns how often it did what. */
export async function rudeClient({ address, seconds }: RudeTask): Promise<Record<string, number>> {
  const settings = { ...samplerSettingsToWire({ sampler: 'ancestral', steps: 5 }), precision: 0 } as const;
  const asked = generateRequest({ model: 'bench', count: 4, seed: 7n, settings });
  const request = framed(samplerWire.GenerateRequest.encode(asked).finish());
  const counts: Record<string, number> = {};
  const endMs = performance.now() + 1000 * seconds;
  const [host = '', port = ''] = address.split(':');
  while (performance.now() < endMs) {
    for (const [name, behave] of Object.entries(MANNERS)) {
      const session = connectHttp2(`http://${address}`, {
        settings: { initialWindowSize: 0 },
        createConnection: () => connect({ host, port: Number(port), localAddress: OWN_ADDRESS }),
      });
      session.on('error', () => undefined);
      await once(session, 'connect').catch(() => undefined);
      // The server may have hung up on it.
      await behave(session, request).catch(() => undefined);
      session.destroy();
      counts[name] = (counts[name] ?? 0) + 1;
    }
  }
  return counts;
}
