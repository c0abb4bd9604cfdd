/** Flags, variables and a file as one set of settings, and what is refused under which name. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import test, { type ExecutionContext } from 'ava';

import { readSettings } from '../../services/sampler/config.js';
import { SAMPLER_SETTINGS } from '../../services/sampler/settings.js';
import { TRAINER_SETTINGS } from '../../services/trainer/settings.js';
import { DiffusionError, type Environment } from '../../shared/foundation/index.js';
import { allSettings, fileKey, flagName, readSources, settingSources } from '../../shared/settings/index.js';
import { temporaryFolder } from '../dataset/folders.js';

const VARIABLE = 'IP_DIFFUSION_SAMPLER_MAX_IMAGES';

async function file(t: ExecutionContext, text: string): Promise<string> {
  const path = join(await temporaryFolder(t), 'settings.yaml');
  await writeFile(path, text);
  return path;
}

function settled(argv: readonly string[], env: Environment = {}) {
  return readSources(settingSources(argv, env, SAMPLER_SETTINGS), readSettings);
}

function problems(argv: readonly string[], env: Environment = {}): [string, string][] {
  try {
    settled(argv, env);
    return [];
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.reason !== 'SETTINGS_INVALID') throw error;
    return error.violations.map(({ field, description }) => [field, description]);
  }
}

test('a flag counts before a variable, a variable before the file, and the file before the default', async (t) => {
  const path = await file(t, 'sampler:\n  max_images: 5\n');
  t.is(settled([]).maxImages, 4096);
  t.is(settled(['--config', path]).maxImages, 5);
  t.is(settled([], { IP_DIFFUSION_CONFIG: path }).maxImages, 5);
  t.is(settled(['--config', path], { [VARIABLE]: '6' }).maxImages, 6);
  t.is(settled(['--config', path], { [VARIABLE]: '' }).maxImages, 5, 'an empty variable is unset');
  t.is(settled(['--config', path, '--max-images=7'], { [VARIABLE]: '6' }).maxImages, 7);
});

test('a section counts before the top of the file, and JSON is read too', async (t) => {
  const yaml = await file(t, 'sampler: {log_level: debug}\nlog_level: error\ntrainer: {log_level: fatal}\n');
  t.is(settled(['--config', yaml]).logLevel, 'debug');
  const json = await file(
    t,
    JSON.stringify({ log_level: 'warn', reflection: false, sampler: { max_images: 3 } }),
  );
  t.like(settled(['--config', json]), { logLevel: 'warn', reflection: false, maxImages: 3 });
});

test('lists are lists in a file', async (t) => {
  const path = await file(t, 'trainer:\n  data_root: [/data, /more]\n');
  const { environment } = settingSources(['--config', path], {}, TRAINER_SETTINGS);
  t.is(environment['IP_DIFFUSION_DATA_ROOTS'], '/data,/more');
});

test('an error names what the person used', async (t) => {
  t.deepEqual(problems(['--max-images', '0']), [
    ['--max-images', 'wanted an integer from 1 to 2147483647; got "0"'],
  ]);
  t.deepEqual(problems([], { [VARIABLE]: 'x' })[0]?.[0], VARIABLE);
  const path = await file(t, '# ours\nlog_level: loud\nsampler:\n  max_images: 0\n  max_cost: [1, 2]\n');
  t.deepEqual(
    problems(['--config', path]).map(([name]) => name),
    [`${path}:2 (log_level)`, `${path}:5 (sampler.max_cost)`, `${path}:4 (sampler.max_images)`].sort(),
  );
  const network = await file(t, 'tls_key: a.key\nsampler: {address: "0.0.0.0:1"}\n');
  t.deepEqual(
    problems(['--config', network])
      .map(([name]) => name)
      .sort(),
    ['IP_DIFFUSION_IDENTITIES_FILE', 'IP_DIFFUSION_TLS_CERT_FILE'],
  );
});

test('everything that is unknown or no value is refused at once, with the nearest name', async (t) => {
  const path = await file(
    t,
    'stor: x\nmax_images: 1\ntrainer: {anything: 1}\nsampler:\n  max_imags: 5\n  max_calls: {a: 1}\n  resume_key: &k a\n  tls_key: *k\n  s3_secret_key: abc\n',
  );
  t.deepEqual(problems(['--config', path, '--stoer=x', 'word', '--insecure=1']), [
    ['--stoer', 'is unknown; did you mean --store?'],
    ['"word"', 'is no flag'],
    ['--insecure', 'takes no value'],
    [`${path}:1 (stor)`, 'is unknown; did you mean store?'],
    [`${path}:2 (max_images)`, 'stands in the section sampler'],
    [`${path}:5 (sampler.max_imags)`, 'is unknown; did you mean max_images?'],
    [`${path}:6 (sampler.max_calls)`, 'wanted a value, or a list of values'],
    [`${path}:8 (sampler.tls_key)`, 'wanted a value, or a list of values'],
    [`${path}:9 (sampler.s3_secret_key)`, 'is unknown; did you mean s3_secret_key_file?'],
  ]);
});

test('a file that is none is refused, and one may be empty', async (t) => {
  const folder = await temporaryFolder(t);
  const refused = async (text: string): Promise<string> => {
    const path = await file(t, text);
    const [[name, description] = ['', '']] = problems(['--config', path]);
    t.true(name.startsWith(path), name);
    return description;
  };
  t.regex(problems(['--config', join(folder, 'none')])[0]?.[1] ?? '', /a file that can be read; ENOENT/);
  await mkdir(join(folder, 'folder'));
  t.regex(problems(['--config', join(folder, 'folder')])[0]?.[1] ?? '', /wanted a file/);
  t.regex(await refused('a: [1'), /./);
  t.regex(await refused('store: a\nstore: b\n'), /unique/);
  t.regex(await refused('just words'), /wanted settings/);
  t.regex(await refused('sampler: 3'), /wanted settings/);
  t.regex(await refused(`# ${'x'.repeat(1024 ** 2)}`), /at most 1048576 bytes/);
  t.deepEqual(problems(['--config', await file(t, '')]), []);
  t.deepEqual(problems(['--config', await file(t, 'sampler:\nlog_level:\n')]), []);
});

test('no flag and no key of a service stands for two settings, and no secret and no setting of another tool has either', (t) => {
  for (const table of [TRAINER_SETTINGS, SAMPLER_SETTINGS]) {
    const all = allSettings(table);
    t.is(Object.keys(all).length, Object.keys(table.shared).length + Object.keys(table.own).length);
    const variables = Object.values(all).map(({ variable }) => variable);
    t.is(new Set(variables).size, variables.length);
    for (const [key, { variable, flag }] of Object.entries(all)) {
      t.regex(flagName(key), /^--[a-z0-9]+(-[a-z0-9]+)*$/);
      t.regex(fileKey(key), /^[a-z0-9]+(_[a-z0-9]+)*$/);
      t.is(flag === 'none', /_(ACCESS|SECRET)_KEY$|^OTEL_/.test(variable), variable);
    }
  }
});
