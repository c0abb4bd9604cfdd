import test from 'ava';

import { program } from '../../services/cli/program.js';
import type { Command } from '../../services/cli/command.js';
import { run } from './sinks.js';

function everyCommand(
  command: Command,
  words: readonly string[],
): { words: readonly string[]; command: Command }[] {
  const own = { words, command };
  if (!('commands' in command)) return [own];
  return [own, ...command.commands.flatMap((next) => everyCommand(next, [...words, next.name]))];
}

for (const { words, command } of everyCommand(program, [])) {
  const name = ['ip-diffusion', ...words].join(' ');
  test(`${name} --help shows usage, every option and examples`, async (t) => {
    const { exitCode, out, err } = await run([...words, '--help']);
    t.is(exitCode, 0);
    t.is(err, '');
    t.true(out.startsWith(`Usage: npx ${name}`));
    t.regex(out, /\n {2}--json .*\n {2}--debug .*\n {2}--help /);
    const leaf = 'commands' in command ? command.otherwise : command;
    if (leaf === undefined) return;
    t.regex(out, /Examples:\n {2}# /);
    t.true(leaf.examples.length > 0);
  });
}

test('without a command the help is shown', async (t) => {
  const [bare, help] = [await run([]), await run(['--help'])];
  t.deepEqual(bare, help);
});

test('--version shows the version of the package', async (t) => {
  const { exitCode, out } = await run(['--version']);
  t.is(exitCode, 0);
  t.regex(out, /^\d+\.\d+\.\d+\n$/);
  t.deepEqual(JSON.parse((await run(['--version', '--json'])).out), { version: out.trim() });
});

test('an unknown command is a usage error that names the nearest one', async (t) => {
  t.deepEqual(await run(['trian']), {
    exitCode: 2,
    out: '',
    err: 'error: unknown command trian; did you mean train?\nhint: see npx ip-diffusion --help\n',
  });
  t.regex((await run(['jobs', 'lits'])).err, /did you mean list\?\nhint: see npx ip-diffusion jobs --help/);
  t.regex((await run(['qqqqqqqqqqqq'])).err, /wanted one of demo, serve, train,/);
});

test('a wrong flag is a usage error with the help that says more', async (t) => {
  const { exitCode, err } = await run(['train', '--step', '4']);
  t.is(exitCode, 2);
  t.is(err, 'error: unknown option --step; did you mean --steps?\nhint: see npx ip-diffusion train --help\n');
});

test('flags that exclude each other are refused before anything is sent', async (t) => {
  t.is((await run(['sample', 'm', '--steps', '4', '--respacing', '4'])).exitCode, 2);
  t.is((await run(['train', '--resume', 'j', '--validate-only'])).exitCode, 2);
});

test('with --json an error is one JSON line', async (t) => {
  const { exitCode, out, err } = await run(['jobs', 'show', '--json']);
  t.is(exitCode, 2);
  t.is(out, '');
  t.like(JSON.parse(err), { exitCode: 2, error: { code: 'INVALID_ARGUMENT', reason: 'USAGE' } });
});

for (const [argv, service] of [
  [['train'], 'trainer'],
  [['watch', 'j'], 'trainer'],
  [['jobs'], 'trainer'],
  [['models'], 'sampler'],
  [['sample', 'm'], 'sampler'],
] as const) {
  test(`${argv.join(' ')} says how to start a ${service} that isn't there`, async (t) => {
    const { exitCode, err } = await run([...argv, '--address', '127.0.0.1:1']);
    t.is(exitCode, 1);
    t.is(
      err,
      `error: no ${service} answers at 127.0.0.1:1\nhint: start one with: npx ip-diffusion serve ${service}; or wait for one that is starting: --wait 30\n`,
    );
  });
}

test('a recipe is checked before the trainer is called', async (t) => {
  const { exitCode, err } = await run(['train', '--variant', 'ADM', '--gamma', '0.1', '--batch-size', '7']);
  t.is(exitCode, 1);
  t.is(err, 'error: a field was refused\n  input_perturbation.gamma: wanted 0 for ADM; got 0.1\n');
});
