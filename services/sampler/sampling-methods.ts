/** The methods that run the network: Generate and Encode. */

import { tenancyOf } from '../../shared/access/index.js';
import {
  imageFormats,
  precisions,
  samplerSettingsToWire,
  weightsToWire,
  type samplerWire,
} from '../../shared/contract/index.js';
import { DiffusionError, type Clock } from '../../shared/foundation/index.js';
import type { DamagedCheckpoint } from '../../shared/models/index.js';
import type { CallContext } from '../../shared/rpc/index.js';
import { repeatedSpans } from '../../shared/tracing/index.js';
import { admitCall, type AdmitCallOptions } from './admit-call.js';
import { bytesOfEncode, bytesOfGenerate, demandOf } from './call-demand.js';
import { readEncodeRequest } from './encode-request.js';
import type { GenerateEvent } from './generate-events.js';
import { readGenerateRequest } from './generate-request.js';
import { generateImages } from './generation.js';
import { contractOf } from './model-methods.js';
import type { SamplingObserver } from './metrics.js';
import { newCall } from './priorities.js';
import { queueEvents } from './queue-events.js';
import type { Generation } from './resolve-generation.js';
import type { RunningCalls } from './running-calls.js';
import type { SampleRequest } from './sample-request.js';
import type { TokenKey } from './token-key.js';

export interface SamplingOptions extends AdmitCallOptions {
  readonly clock: Clock;
  /** Images of one call, at most. */
  readonly maxImages: number;
  readonly calls: RunningCalls;
  readonly observer?: SamplingObserver;
  /** Signs resume tokens. */
  readonly tokenKey: TokenKey;
}

/** A call of 1,000 steps has as many passes. */
const PASS_SPANS = { name: 'pass', most: 64, sums: ['diffusion.rows'] };

export function samplingMethods(options: SamplingOptions) {
  const { clock, maxImages, window, calls, catalogue, tokenKey, observer } = options;

  /** The bytes of a request are counted before anything is made of it. */
  async function* sample(
    bytes: number,
    read: () => SampleRequest | Promise<SampleRequest>,
    context: CallContext,
  ): AsyncGenerator<GenerateEvent, void, undefined> {
    const release = options.admission.hold(context.caller, bytes);
    try {
      yield* sampleFor(await read(), context);
    } finally {
      release();
    }
  }

  async function* sampleFor(
    request: SampleRequest,
    context: CallContext,
  ): AsyncGenerator<GenerateEvent, void, undefined> {
    const calledMs = clock.monotonicMs();
    const call = newCall(calledMs + context.timeLeftMs);
    const owner = { priority: request.priority, caller: context.caller, call };
    const { signal: ofCall, ended } = calls.begin(context.signal);
    // The reader may leave while the call still waits for its place.
    const leaving = new AbortController();
    const signal = AbortSignal.any([ofCall, leaving.signal]);
    const queue = queueEvents();
    const visible = { ...options, catalogue: catalogue.seenBy(tenancyOf(context)) };
    const { span } = context;
    const passes = repeatedSpans({ ...PASS_SPANS, parent: span, clock });
    const admitting = admitCall({ request, owner, signal, span, onQueued: queue.put }, visible);
    try {
      yield* queue.until(admitting);
      const { generation, series, lease, place, skipped } = await admitting;
      yield accepted(generation, skipped);
      const stepCost = demandOf(request, series, window).cost / series.stepsTotal;
      const onStep = (): void => {
        place.done(stepCost);
      };
      let isFirst = true;
      const sinceMs = (): number => clock.monotonicMs() - calledMs;
      const onImage = (): void => {
        observer?.image(request.priority, isFirst ? sinceMs() : undefined);
        isFirst = false;
      };
      const { predict, slots } = lease;
      yield* generateImages(series, {
        ...{ predict, slots, owner, window, signal, passes, onStep, onImage, clock, calledMs },
        tokenKey: await tokenKey(),
      });
      observer?.completed(request.priority, sinceMs());
    } finally {
      leaving.abort(new DiffusionError('CANCELLED', 'the call has ended'));
      passes.end();
      const admitted = await admitting.catch(() => undefined);
      admitted?.lease.release();
      admitted?.place.release();
      ended();
    }
  }

  async function* generate(
    wire: samplerWire.GenerateRequest,
    context: CallContext,
  ): AsyncGenerator<samplerWire.GenerateResponse, void, undefined> {
    const read = async (): Promise<SampleRequest> => readGenerateRequest(wire, maxImages, await tokenKey());
    for await (const event of sample(bytesOfGenerate(wire), read, context)) yield { event };
  }

  async function* encode(
    wire: samplerWire.EncodeRequest,
    context: CallContext,
  ): AsyncGenerator<samplerWire.EncodeResponse, void, undefined> {
    const read = (): SampleRequest => readEncodeRequest(wire, maxImages);
    for await (const event of sample(bytesOfEncode(wire), read, context)) {
      const encoded = encodeEvent(event);
      if (encoded !== undefined) yield { event: encoded };
    }
  }

  return { generate, encode };
}

function encodeEvent(event: GenerateEvent): samplerWire.EncodeResponse['event'] {
  switch (event.$case) {
    case 'queued':
    case 'accepted':
    case 'progress':
    case 'completed':
      return event;
    case 'image': {
      const { index, chunk } = event.value;
      return { $case: 'latent', value: { index, chunk } };
    }
    default:
      return undefined;
  }
}

function accepted(
  { checkpoint, weights, settings, precision, firstIndex, series }: Generation,
  skipped: readonly DamagedCheckpoint[],
): GenerateEvent {
  const { count, seed, plan, format, shape } = series;
  return {
    $case: 'accepted',
    value: {
      checkpoint: contractOf(checkpoint),
      weights: weightsToWire(weights),
      count,
      seed,
      firstIndex,
      settings: { ...samplerSettingsToWire(settings), precision: precisions.write(precision) },
      timesteps: [...plan.timestepMap].reverse(),
      format: imageFormats.write(format),
      ...shape,
      skipped: skipped.map(({ step, error: { reason, message } }) => ({ step, reason, message })),
    },
  };
}
