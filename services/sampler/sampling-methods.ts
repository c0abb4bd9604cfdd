/** The methods that run the network: Generate and Encode. */

import { tenancyOf } from '../../shared/access/index.js';
import {
  imageFormats,
  precisions,
  samplerSettingsToWire,
  weightsToWire,
  type samplerWire,
} from '../../shared/contract/index.js';
import type { Clock } from '../../shared/foundation/index.js';
import type { CallContext } from '../../shared/rpc/index.js';
import { admitCall, type AdmitCallOptions } from './admit-call.js';
import { readEncodeRequest } from './encode-request.js';
import type { GenerateEvent } from './generate-events.js';
import { readGenerateRequest } from './generate-request.js';
import { generateImages } from './generation.js';
import { contractOf } from './model-methods.js';
import type { Generation } from './resolve-generation.js';
import type { RunningCalls } from './running-calls.js';
import type { SampleRequest } from './sample-request.js';
import type { TokenKey } from './token-key.js';

export interface SamplingOptions extends AdmitCallOptions {
  readonly clock: Clock;
  /** Images of one call, at most. */
  readonly maxImages: number;
  /** Images of one call in work or unread at once. */
  readonly window: number;
  readonly calls: RunningCalls;
  /** Signs resume tokens. */
  readonly tokenKey: TokenKey;
}

export function samplingMethods(options: SamplingOptions) {
  const { clock, maxImages, window, calls, catalogue, tokenKey } = options;

  async function* sample(
    request: SampleRequest,
    context: CallContext,
  ): AsyncGenerator<GenerateEvent, void, undefined> {
    const calledMs = clock.monotonicMs();
    const { signal, ended } = calls.begin(context.signal);
    try {
      const { generation, lease, release } = await admitCall(
        request,
        { ...options, catalogue: catalogue.seenBy(tenancyOf(context)) },
        signal,
      );
      try {
        yield accepted(generation);
        const { predict } = lease;
        yield* generateImages(generation.series, {
          ...{ predict, window, signal, clock, calledMs },
          tokenKey: await tokenKey(),
        });
      } finally {
        lease.release();
        release();
      }
    } finally {
      ended();
    }
  }

  async function* generate(
    wire: samplerWire.GenerateRequest,
    context: CallContext,
  ): AsyncGenerator<samplerWire.GenerateResponse, void, undefined> {
    const request = readGenerateRequest(wire, maxImages, await tokenKey());
    for await (const event of sample(request, context)) yield { event };
  }

  async function* encode(
    wire: samplerWire.EncodeRequest,
    context: CallContext,
  ): AsyncGenerator<samplerWire.EncodeResponse, void, undefined> {
    for await (const event of sample(readEncodeRequest(wire, maxImages), context)) {
      const encoded = encodeEvent(event);
      if (encoded !== undefined) yield { event: encoded };
    }
  }

  return { generate, encode };
}

function encodeEvent(event: GenerateEvent): samplerWire.EncodeResponse['event'] {
  switch (event.$case) {
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

function accepted({
  checkpoint,
  weights,
  settings,
  precision,
  firstIndex,
  series,
}: Generation): GenerateEvent {
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
    },
  };
}
