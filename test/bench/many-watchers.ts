/** Thousands of watchers of one job that cost their machine little: nothing of what they get is decoded. */
import { connect, type ClientHttp2Session } from 'node:http2';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { trainerWire } from '../../shared/contract/index.js';
import { framed, openCall } from './grpc-frames.js';

export interface WatchersTask {
  readonly work: 'watchers';
  readonly address: string;
  readonly jobId: string;
  /** Position from which they watch. */
  readonly after: string;
  readonly count: number;
}

const PER_CONNECTION = 250;
const PATH = '/diffusion.trainer.v1.TrainerService/WatchTrainingJob';
const WINDOW_BYTES = 2 ** 24;

/** Prints `watching` once all have had a message; hangs up, and prints what came, when its input ends. */
export async function manyWatchers({ address, jobId, after, count }: WatchersTask): Promise<void> {
  const request = framed(trainerWire.WatchTrainingJobRequest.encode({ jobId, after }).finish());
  const sessions: ClientHttp2Session[] = [];
  let [bytes, pieces, ended] = [0, 0, 0];
  const begun: Promise<unknown>[] = [];
  for (let i = 0; i < count; i++) {
    if (i % PER_CONNECTION === 0) {
      const opened = connect(`http://${address}`, { settings: { initialWindowSize: WINDOW_BYTES } });
      await once(opened, 'connect');
      opened.setLocalWindowSize(WINDOW_BYTES);
      sessions.push(opened);
    }
    const session = sessions.at(-1);
    if (session === undefined) throw new Error('no connection');
    const stream = openCall(session, PATH);
    stream.on('data', (piece: Buffer) => {
      bytes += piece.length;
      pieces += 1;
    });
    stream.on('close', () => {
      ended += 1;
    });
    begun.push(once(stream, 'data'));
    stream.end(request);
  }
  await Promise.all(begun);
  console.log(JSON.stringify({ watching: count }));
  const input = createInterface({ input: process.stdin });
  input.resume();
  await once(input, 'close');
  console.log(JSON.stringify({ bytes, pieces, ended }));
  for (const session of sessions) session.destroy();
}
