/** What a process that starts an engine says of it. */

import * as z from 'zod';

import type { EngineBuild } from '../engine/index.js';
import { checkedBySender, type Protocol } from '../processes/index.js';

const engineFound = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('started'), build: checkedBySender<EngineBuild>() }),
  /** `device` is the one that was tried; unknown where the process crashed. */
  z.object({ kind: z.literal('failed'), problem: z.string(), device: z.string().optional() }),
]);

export type EngineFound = z.infer<typeof engineFound>;

/** The process sends one message and takes none. */
export const probeProtocol: Protocol<never, EngineFound> = {
  toChild: z.never(),
  fromChild: engineFound,
  maxMessageBytes: 1024 ** 2,
};
