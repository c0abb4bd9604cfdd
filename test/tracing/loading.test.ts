/** The library for traces takes time to load. */

import { createRequire } from 'node:module';

import test from 'ava';

import { startSampler } from '../../services/sampler/start-sampler.js';
import { readSettings } from '../../services/trainer/config.js';
import { startTrainer } from '../../services/trainer/start-trainer.js';
import { openTracer } from '../../shared/tracing/index.js';

function isLoaded(): boolean {
  const { cache } = createRequire(import.meta.url);
  return Object.keys(cache).some((path) => path.includes('/@opentelemetry/sdk-trace/'));
}

test('it is loaded where an endpoint is set, and by nothing else of the services', async (t) => {
  t.truthy(startSampler);
  t.truthy(startTrainer);
  const off = await openTracer(readSettings({}).tracing, 'trainer', () => undefined);
  await off.close();
  t.false(isLoaded());
  const { tracing } = readSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
  const on = await openTracer(tracing, 'trainer', () => undefined);
  await on.close();
  t.true(isLoaded());
});
