/**
 * Trains a model and samples from it: client.ts TRAINER_ADDRESS SAMPLER_ADDRESS FOLDER_OF_IMAGES
 *
 * The trainer reads the folder, so it must be one of the trainer's machine. Prints one line of JSON.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { MessageInitShape } from '@bufbuild/protobuf';
import { ConnectError, createClient, type Client } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';

import { MeasurementState, MeasureService } from './generated/diffusion/measure/v1/measure_pb.js';
import { SamplerService } from './generated/diffusion/sampler/v1/sampler_pb.js';
import { JobState, TrainerService } from './generated/diffusion/trainer/v1/trainer_pb.js';
import type { TrainingRecipeSchema } from './generated/diffusion/types/v1/recipe_pb.js';
import { ImageFormat, type ImageChunk } from './generated/diffusion/types/v1/sampling_pb.js';
import { BadRequestSchema, ErrorInfoSchema } from './generated/google/rpc/error_details_pb.js';

const SEED = 2n ** 64n - 1n;
const TWO_STEPS = { timesteps: { case: 'steps', value: 2 } } as const;

/** Trains in seconds. What is left unset is taken from the default preset. */
function tinyRecipe(folder: string, steps: number): MessageInitShape<typeof TrainingRecipeSchema> {
  return {
    dataset: { source: { case: 'folder', value: { path: folder } }, imageSize: 8 },
    architecture: { modelChannels: 32, numResBlocks: 1, channelMult: [1], numHeadChannels: 32 },
    training: { steps, batchSize: 4, checkpointEverySteps: 2, sampleEverySteps: 0 },
    evaluation: { images: 0, everySteps: 0 },
  };
}

/** Creates a job and watches it to its end. */
async function train(trainer: Client<typeof TrainerService>, folder: string) {
  const request = { recipe: tinyRecipe(folder, 4), requestId: randomUUID() };
  const { job } = await trainer.createTrainingJob(request);
  // With the same request_id, a call that is sent again creates no second job.
  const { job: repeated } = await trainer.createTrainingJob(request);
  if (job === undefined) throw new Error('the trainer answered without a job');
  const states: string[] = [];
  const checkpoints: number[] = [];
  let state = job.state;
  for await (const { event } of trainer.watchTrainingJob({ jobId: job.jobId })) {
    if (event.case === 'stateChanged') states.push(nameOf(event.value.state));
    if (event.case === 'checkpointCommitted') checkpoints.push(event.value.step);
    if (event.case === 'terminal') state = event.value.state;
  }
  return {
    job: job.jobId,
    repeatedJob: repeated?.jobId,
    model: job.model,
    state: nameOf(state),
    states,
    checkpoints,
  };
}

/** The generated enum leaves out the prefix that its names have in the proto. */
function nameOf(state: JobState): string {
  return `JOB_STATE_${JobState[state]}`;
}

/** What the trainer says to a recipe without steps. */
async function refusal(trainer: Client<typeof TrainerService>, folder: string) {
  try {
    await trainer.createTrainingJob({ recipe: tinyRecipe(folder, 0) });
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    const [info] = error.findDetails(ErrorInfoSchema);
    const [refused] = error.findDetails(BadRequestSchema);
    return {
      code: error.code,
      reason: info?.reason,
      domain: info?.domain,
      fields: refused?.fieldViolations.map(({ field }) => field),
    };
  }
  throw new Error('wanted a refusal; the recipe was taken');
}

interface Piece {
  readonly index: number;
  readonly chunk?: ImageChunk | undefined;
}

/** Chunks of images by index, in the order in which they came. */
class Assembly {
  readonly #chunks = new Map<number, ImageChunk[]>();

  add({ index, chunk }: Piece): void {
    if (chunk !== undefined) this.#chunks.set(index, [...(this.#chunks.get(index) ?? []), chunk]);
  }

  /** Checks all images, and returns the SHA-256 of each. The bytes are little-endian float32. */
  digests(): string[] {
    const sorted = [...this.#chunks].sort(([a], [b]) => a - b);
    return sorted.map(([, chunks]) => {
      const hash = createHash('sha256');
      let size = 0n;
      for (const { offsetBytes, data } of chunks) {
        if (offsetBytes !== size) throw new Error(`wanted bytes from ${size}; got them from ${offsetBytes}`);
        hash.update(data);
        size += BigInt(data.length);
      }
      const sha256 = hash.digest('hex');
      const [wanted] = chunks;
      if (size !== wanted?.totalSizeBytes || sha256 !== wanted.sha256)
        throw new Error(`an image is damaged: ${size} bytes of SHA-256 ${sha256}`);
      return sha256;
    });
  }
}

/** Bits per dimension of one training image, in a bound of two steps. */
async function measured(measure: Client<typeof MeasureService>, model: string) {
  const kind = { case: 'likelihood', value: { steps: 2 } } as const;
  const spec = { model, images: 1, seed: SEED, kind };
  const { measurement } = await measure.createMeasurement({ spec, requestId: randomUUID() });
  const { measurementId = '' } = measurement ?? {};
  let state = measurement?.state ?? MeasurementState.UNSPECIFIED;
  for await (const { event } of measure.watchMeasurement({ measurementId }))
    if (event.case === 'terminal') state = event.value.state;
  let [inputs, bits] = ['', NaN];
  for await (const { part } of measure.getMeasurementResult({ measurementId })) {
    if (part.case === 'contract') inputs = part.value.inputsSha256;
    if (part.case === 'result') bits = part.value.findings[0]?.value ?? NaN;
  }
  return { state: `MEASUREMENT_STATE_${MeasurementState[state]}`, inputs, bits };
}

async function main(trainerAddress: string, samplerAddress: string, folder: string): Promise<void> {
  const transportTo = (address: string) => createGrpcTransport({ baseUrl: `http://${address}` });
  const trainer = createClient(TrainerService, transportTo(trainerAddress));
  const sampler = createClient(SamplerService, transportTo(samplerAddress));

  const training = await train(trainer, folder);
  const refused = await refusal(trainer, folder);
  const { model } = training;
  const { models } = await sampler.listModels({ namePrefix: model });
  const { checkpoint } = await sampler.getCheckpoint({ model });

  const images = new Assembly();
  const newImages = { model, count: 2, seed: SEED, settings: TWO_STEPS, format: ImageFormat.RAW_FLOAT32 };
  for await (const { event } of sampler.generate({ images: { case: 'newImages', value: newImages } })) {
    if (event.case === 'image') images.add(event.value);
  }

  const [first = ''] = (await readdir(folder)).sort();
  const picture = await readFile(join(folder, first));
  const latents = new Assembly();
  for await (const { event } of sampler.encode({ model, images: [picture], settings: TWO_STEPS })) {
    if (event.case === 'latent') latents.add(event.value);
  }

  const measure = createClient(MeasureService, transportTo(samplerAddress));

  const found = {
    ...training,
    refusal: refused,
    models: models.map(({ name, checkpointSteps }) => ({ name, steps: checkpointSteps })),
    checkpoint: { step: checkpoint?.step, sha256: checkpoint?.manifestSha256 },
    images: images.digests(),
    latents: latents.digests(),
    measurement: await measured(measure, model),
  };
  console.log(JSON.stringify(found));
}

const [trainerAddress = '', samplerAddress = '', folder = ''] = process.argv.slice(2);
await main(trainerAddress, samplerAddress, folder);
