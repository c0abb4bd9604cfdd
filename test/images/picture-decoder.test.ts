import { setTimeout } from 'node:timers/promises';

import anyTest, { type TestFn } from 'ava';

import { DiffusionError, systemClock } from '../../shared/foundation/index.js';
import { decodeImage, encodeImage, pictureDecoder, type PictureDecoder } from '../../shared/images/index.js';
import { childPids } from '../sampler-service/engine-pids.js';

const test = anyTest as TestFn<PictureDecoder>;
const never = new AbortController().signal;
const OPTIONS = { imageSize: 8, channels: 3 } as const;

test.before((t) => {
  t.context = pictureDecoder({
    atOnce: 2,
    environment: process.env,
    heartbeatTimeoutMs: 60_000,
    clock: systemClock,
  });
});

test.after.always((t) => t.context.close());

/** A PNG of one colour. */
async function picture(value: number, side = 16): Promise<Uint8Array> {
  return encodeImage(
    new Uint8Array(side * side * 3).fill(value),
    { width: side, height: side, channels: 3 },
    'png',
  );
}

const pids = (): Promise<number[]> => childPids(/decode-process/);

test.serial('each picture gets its own pixels, those that decodeImage gives', async (t) => {
  const pictures = await Promise.all([10, 20, 30, 40, 50].map((value) => picture(value)));
  const decoded = await Promise.all(pictures.map((bytes) => t.context.decode(bytes, OPTIONS, never)));
  for (const [i, bytes] of pictures.entries())
    t.deepEqual(Buffer.from(decoded[i] ?? []), Buffer.from((await decodeImage(bytes, OPTIONS)).pixels));
});

test.serial(
  'what is no picture is refused as decodeImage refuses it, and the next one is decoded',
  async (t) => {
    for (const bytes of [new Uint8Array(0), Buffer.from('no picture'), (await picture(1)).subarray(0, 60)]) {
      const wanted = await t.throwsAsync(decodeImage(bytes, OPTIONS), { instanceOf: DiffusionError });
      const error = await t.throwsAsync(t.context.decode(bytes, OPTIONS, never), {
        instanceOf: DiffusionError,
      });
      t.is(error.reason, wanted.reason);
      t.is(error.message, wanted.message);
    }
    t.is((await t.context.decode(await picture(7), OPTIONS, never))[0], 7);
  },
);

test.serial(
  'a picture whose call is gone is not waited for, and costs the others nothing [fault A15]',
  async (t) => {
    const gone = new AbortController();
    const bytes = await picture(9);
    const cancelled = Array.from({ length: 5 }, () => t.context.decode(bytes, OPTIONS, gone.signal));
    const neighbour = t.context.decode(bytes, OPTIONS, never);
    gone.abort(new DiffusionError('CANCELLED', 'enough'));
    for (const each of cancelled) await t.throwsAsync(each, { message: 'enough' });
    t.is((await neighbour)[0], 9);
  },
);

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip;

onLinux(
  'pictures of a process that is killed are decoded by the next one; one that loses two is refused',
  async (t) => {
    const kill = async (): Promise<void> => {
      let found = await pids();
      while (found.length === 0) {
        await setTimeout(1);
        found = await pids();
      }
      for (const pid of found) process.kill(pid, 'SIGKILL');
      while ((await pids()).some((pid) => found.includes(pid))) await setTimeout(1);
    };
    const killed = async (times: number): Promise<Uint8Array> => {
      const before = await pids();
      for (const pid of before) process.kill(pid, 'SIGSTOP');
      const decoded = t.context.decode(await picture(11), OPTIONS, never);
      for (let i = 0; i < times; i++) await kill();
      return decoded;
    };
    t.is((await killed(1))[0], 11);
    const error = await t.throwsAsync(killed(2), { instanceOf: DiffusionError });
    t.is(error.reason, 'DECODER_LOST');
    t.is(error.code, 'UNAVAILABLE');
    t.truthy(error.retryAfterMs);
  },
);
