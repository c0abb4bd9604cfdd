/** What `serve` hands to the services, and what a service does with it. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import test from 'ava';
import pino from 'pino';

import { UsageError } from '../../services/cli/parse-arguments.js';
import { serviceArguments } from '../../services/cli/serve-options.js';
import { readSettings } from '../../services/sampler/config.js';
import { startSampler } from '../../services/sampler/start-sampler.js';
import type { Environment } from '../../shared/foundation/index.js';
import { temporaryFolder } from '../dataset/folders.js';
import { run } from './sinks.js';

const BOTH = ['trainer', 'sampler'] as const;

function flagsOf(argv: readonly string[], environment: Environment = {}) {
  return serviceArguments(BOTH, argv, 'ip-diffusion serve', environment).flags;
}

test('each service gets the flags that it knows', (t) => {
  t.deepEqual(flagsOf([]), { trainer: [], sampler: [] });
  const argv = [
    '--store',
    'folder',
    '--insecure',
    '--data-root',
    '/data',
    '--data-root=more',
    '--max-images=7',
  ];
  t.deepEqual(flagsOf([...argv, '--config', 'file.yaml']), {
    trainer: ['--store=folder', '--insecure', '--data-root=/data,more', '--config=file.yaml'],
    sampler: [
      '--store=folder',
      '--insecure',
      '--data-root=/data,more',
      '--max-images=7',
      '--config=file.yaml',
    ],
  });
});

test('a check of the configuration is handed on to each service', (t) => {
  const given = serviceArguments(BOTH, ['--check-config', '--json', '--debug'], 'ip-diffusion serve', {});
  t.true(given.checkConfig);
  t.deepEqual(given.flags.trainer, ['--check-config', '--json']);
  t.deepEqual(given.flags.sampler, ['--check-config', '--json']);
});

test('a flag that no service knows, or that means two things, is refused with the nearest one', (t) => {
  const refused = (argv: readonly string[], message: RegExp): void => {
    t.throws(() => flagsOf(argv), { instanceOf: UsageError, message });
  };
  refused(['--max-image=7'], /--max-image is unknown; did you mean --max-images\?/);
  refused(['--address=127.0.0.1:1'], /--address is unknown/);
  refused(['folder'], /"folder" is no flag/);
  refused(['--store'], /--store wanted some text; got nothing/);
  refused(['--insecure=on'], /--insecure takes no value/);
});

test('of two services the metrics of the second have the next port, wherever the address is set', async (t) => {
  const file = join(await temporaryFolder(t), 'services.yaml');
  await writeFile(file, 'metrics_address: "[::1]:9464"\n');
  for (const flags of [
    flagsOf(['--metrics-address=[::1]:9464']),
    flagsOf([], { IP_DIFFUSION_METRICS_ADDRESS: '[::1]:9464' }),
    flagsOf([`--config=${file}`]),
  ])
    t.is(flags.sampler?.at(-1), '--metrics-address=[::1]:9465');
  t.is(flagsOf(['--metrics-address=127.0.0.1:0']).sampler?.at(-1), '--metrics-address=127.0.0.1:0');
  await writeFile(file, 'metrics_address: 127.0.0.1:1\nsampler: {metrics_address: 127.0.0.1:5}\n');
  t.deepEqual(flagsOf([`--config=${file}`]).sampler, [`--config=${file}`]);
});

test('a service that is insecure because it was told to says so in its log', async (t) => {
  const lines: string[] = [];
  const env = {
    IP_DIFFUSION_SAMPLER_ADDRESS: '0.0.0.0:0',
    IP_DIFFUSION_INSECURE: 'on',
    IP_DIFFUSION_STORE: await temporaryFolder(t),
  };
  const service = await startSampler(readSettings(env), pino({}, { write: (line) => lines.push(line) }));
  await service.stop();
  const warnings = lines.map((line) => JSON.parse(line) as { level: number; msg: string });
  t.true(
    warnings.some(
      ({ level, msg }) => level === 40 && /0\.0\.0\.0:0 without TLS and authentication/.test(msg),
    ),
  );
});

test('the help of serve names what a network needs', async (t) => {
  const { out } = await run(['serve', 'trainer', '--help']);
  for (const option of [
    '--tls-cert',
    '--tls-key',
    '--tls-client-ca',
    '--identities',
    '--insecure',
    '--data-root',
    '--engine-heartbeat-timeout-ms',
    '--config',
    '--check-config',
  ])
    t.true(out.includes(option), option);
});
