/** Every text of every request, with anything in it, against running services: no process ends, no call hangs. */

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';

import { Client, credentials, status, type ServiceError } from '@grpc/grpc-js';
import test from 'ava';
import fc from 'fast-check';

import { connectTrainer, callUnary, fromServiceError } from '../../shared/rpc/index.js';
import { measureWire, recipeToWire, samplerWire, trainerWire } from '../../shared/contract/index.js';
import { deferred } from '../../shared/foundation/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { anyText } from '../foundation/texts.js';
import { isFieldOf } from '../contract/field-path.js';
import { commitTiny } from '../sampler-service/tiny-model.js';
import { methodsOf, REFLECTION, withField, type FieldPath, type Method } from './field-paths.js';
import { spawnService, type ServiceProcess } from './spawn-service.js';

const CALL_LIMIT_MS = 60_000;
const RUNS_A_FIELD = 12;

const folder = await mkdtemp(join(tmpdir(), 'hostile-'));
const environment = {
  IP_DIFFUSION_STORE: join(folder, 'store'),
  IP_DIFFUSION_CACHE: join(folder, 'cache'),
  IP_DIFFUSION_LOG_LEVEL: 'info',
};
// Relative paths in requests lead here, where nothing is.
const empty = join(folder, 'empty');
await mkdir(empty);
const store = await openLocalStore({ folder: environment.IP_DIFFUSION_STORE });
await commitTiny(store, { step: 1 });
await store.close();

const services: Record<'trainer' | 'sampler', ServiceProcess> = {
  trainer: await spawnService('trainer', environment, { cwd: empty }),
  sampler: await spawnService('sampler', environment, { cwd: empty }),
};

test.after.always(async () => {
  for (const { child, exited } of Object.values(services)) {
    child.kill('SIGKILL');
    await exited;
  }
  await rm(folder, { recursive: true, force: true });
});

/** Requests that are nearly good, so that a field is looked at beyond its first check. None makes a job. */
const BASES: Readonly<Record<string, Uint8Array>> = {
  CreateTrainingJob: trainerWire.CreateTrainingJobRequest.encode({
    recipe: recipeToWire({ training: { steps: 0 } }),
    requestId: '',
    validateOnly: false,
  }).finish(),
  CreateMeasurement: measureWire.CreateMeasurementRequest.encode(
    measureWire.CreateMeasurementRequest.fromPartial({
      spec: {
        model: 'tiny',
        images: 8,
        kind: { $case: 'quality', value: { settings: { timesteps: { $case: 'steps', value: 1 } } } },
      },
    }),
  ).finish(),
  Generate: samplerWire.GenerateRequest.encode(
    samplerWire.GenerateRequest.fromPartial({
      images: {
        $case: 'newImages',
        value: { model: 'tiny', count: 1, settings: { timesteps: { $case: 'steps', value: 1 } } },
      },
    }),
  ).finish(),
};

const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');
/** Text as JavaScript holds it: lone surrogates as the three bytes that UTF-8 forbids. */
const lenient = (text: string): Uint8Array =>
  Buffer.concat(
    text
      .split(/(\p{Surrogate})/u)
      .map((piece) =>
        /^\p{Surrogate}$/u.test(piece)
          ? Buffer.from([
              0xed,
              0x80 | ((piece.charCodeAt(0) >> 6) & 0x3f),
              0x80 | (piece.charCodeAt(0) & 0x3f),
            ])
          : utf8(piece),
      ),
  );

const hostile: fc.Arbitrary<Uint8Array> = fc.oneof(
  anyText(400).map(lenient),
  fc.uint8Array({ maxLength: 300 }),
  fc.nat({ max: 100 }).map((length) => utf8(`${'a'.repeat(length)}\u{1f600}aaaa`)),
  fc
    .constantFrom(
      '',
      '\u0000',
      'a'.repeat(200_000),
      '../../etc/passwd',
      '%'.repeat(3000),
      'tiny',
      '-1',
      '__proto__',
      'constructor',
    )
    .map(utf8),
  fc.constant(Buffer.alloc(900_000, 0xff)),
);

interface Ended {
  readonly code: number;
  readonly details: string;
  /** Fields that were refused. */
  readonly refused: readonly string[];
}

/** Makes a call with raw bytes and reads it to its end, or to its first message where it would go on for ever. */
async function call(address: string, { path, kind }: Method, request: Uint8Array): Promise<Ended> {
  const client = new Client(address, credentials.createInsecure());
  const bytes = (value: Uint8Array): Buffer => Buffer.from(value);
  const options = { deadline: Date.now() + CALL_LIMIT_MS };
  const { promise, resolve } = deferred<Ended>();
  const onEnd = (error: ServiceError | null): void => {
    if (error === null) resolve({ code: 0, details: '', refused: [] });
    else {
      const refused = fromServiceError(error).violations.map(({ field }) => field);
      resolve({ code: error.code, details: error.details, refused });
    }
  };
  if (kind === 'unary') client.makeUnaryRequest(path, bytes, bytes, request, options, onEnd);
  else {
    const stream =
      kind === 'server_streaming'
        ? client.makeServerStreamRequest(path, bytes, bytes, request, options)
        : client.makeBidiStreamRequest(path, bytes, bytes, options);
    stream.on('error', onEnd);
    stream.on('end', () => {
      onEnd(null);
    });
    stream.on('data', () => {
      if (path === '/grpc.health.v1.Health/Watch') onEnd(null);
    });
    if (stream instanceof Duplex) {
      stream.write(request);
      stream.end();
    }
  }
  const ended = await promise;
  client.close();
  return ended;
}

const SERVICES = {
  trainer: ['diffusion.trainer.v1.TrainerService', 'grpc.health.v1.Health'],
  sampler: [
    'diffusion.sampler.v1.SamplerService',
    'diffusion.measure.v1.MeasureService',
    'grpc.health.v1.Health',
  ],
} as const;

test.serial('an emoji where an error text is cut fails one call, not the trainer [fault A1]', async (t) => {
  const { address, isRunning } = services.trainer;
  const client = connectTrainer(address);
  for (let length = 60; length < 80; length++) {
    const jobId = `${'a'.repeat(length)}\u{1f600}aaaa`;
    await t.throwsAsync(callUnary(client, client.getTrainingJob, { jobId }), { message: /job_id: wanted/ });
  }
  t.true(isRunning());
  client.close();
});

for (const [service, names] of Object.entries(SERVICES)) {
  for (const method of [...names.flatMap(methodsOf), REFLECTION]) {
    for (const field of method.fields) {
      test.serial(`${service} ${method.name}: ${field.path} may hold anything`, async (t) => {
        const { address, isRunning } = services[service as keyof typeof SERVICES];
        await fc.assert(
          fc.asyncProperty(hostile, async (value) => {
            const { code, details, refused } = await call(address, method, bytesOf(method, field, value));
            t.not(code, status.DEADLINE_EXCEEDED, 'the call hung');
            t.not(code, status.UNAVAILABLE, details);
            for (const name of refused) t.true(isFieldOf(method.path, name), name);
            t.true(isRunning());
          }),
          { numRuns: RUNS_A_FIELD },
        );
      });
    }
  }
}

function bytesOf({ name }: Method, field: FieldPath, value: Uint8Array): Uint8Array {
  return Buffer.concat([BASES[name] ?? new Uint8Array(), withField(field, value)]);
}

test.serial('no call got an internal error', (t) => {
  for (const { log } of Object.values(services))
    t.deepEqual(
      log.filter((line) => line.includes('"internal error"')),
      [],
    );
});
