/** Begins to trace, where the settings say so. */

import { packageFile } from '../foundation/index.js';
import type { TracingSettings } from './settings.js';
import { NO_TRACER, type Tracer, type WarnOfTraces } from './tracer.js';

/**
 * Loads the library for traces only where they are switched on: it takes a service longer to start.
 *
 * @param service Such as `trainer`.
 * @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE) for a certificate or key that can't be read.
 */
export async function openTracer(
  settings: TracingSettings | undefined,
  service: string,
  warn: WarnOfTraces,
): Promise<Tracer> {
  if (settings === undefined) return NO_TRACER;
  const { otlpTracer } = await import('./otlp.js');
  const { version } = packageFile();
  return otlpTracer(settings, { name: `ip-diffusion-${service}`, version }, warn);
}
