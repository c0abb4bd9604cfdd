/** `npm run soak -- --minutes N | --kills N [--seed S] [--json FILE]`: both services at work while faults are made. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { DiffusionError } from '../../shared/foundation/index.js';
import { violationsOf } from './check-history.js';
import type { Entry } from './history.js';
import { recorder } from './recorder.js';
import { printReport, reportOf } from './report.js';
import { run } from './run.js';
import { slopesOf } from './slopes.js';

const USAGE = `npm run soak -- --minutes N [--seed S] [--json FILE]
npm run soak -- --kills N [--minutes M] [--seed S] [--json FILE]
npm run soak -- --check HISTORY

--minutes N   all faults, for N minutes
--kills N     kills alone, of services and engines, until there were N, or the minutes are over
--seed S      decides which fault comes when; default 1
--json FILE   the report, as JSON
--check FILE  only holds the history of an earlier run against the rules`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    kills: { type: 'string' },
    seed: { type: 'string', default: '1' },
    json: { type: 'string' },
    check: { type: 'string' },
    help: { type: 'boolean' },
  },
});
const [minutes, kills] = [positive(values.minutes), positive(values.kills)];
const isWrong =
  !/^\d{1,18}$/.test(values.seed) ||
  [minutes, kills].some(Number.isNaN) ||
  (minutes === undefined && kills === undefined) !== (values.check !== undefined);
if (values.help === true || isWrong) {
  console.error(USAGE);
  process.exit(values.help === true ? 0 : 2);
}
process.exitCode = values.check === undefined ? await soak(BigInt(values.seed)) : await check(values.check);

function positive(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return /^\d+(\.\d+)?$/.test(text) && Number(text) > 0 ? Number(text) : Number.NaN;
}

async function soak(seed: bigint): Promise<number> {
  const logs = await mkdtemp(join(tmpdir(), 'soak-'));
  const path = join(logs, 'history.jsonl');
  const record = recorder(path);
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => {
      interrupted.abort(new DiffusionError('CANCELLED', 'the run was interrupted'));
    });
  const options = { seed, minutes, kills, logs, recorder: record, say, signal: interrupted.signal };
  const { samples, disks } = await run(options).finally(() => record.close());
  const report = reportOf(record.history, seed, slopesOf(samples), violationsOf(record.history));
  printReport(report, say);
  if (!disks) say('full disks were left out: this user may not mount file systems');
  if (values.json !== undefined)
    await writeFile(fromCaller(values.json), `${JSON.stringify(report, null, 2)}\n`);
  if (report.passed) await rm(logs, { recursive: true });
  else say(`history and logs: ${logs}`);
  return report.passed ? 0 : 1;
}

async function check(path: string): Promise<number> {
  const lines = (await readFile(fromCaller(path), 'utf8')).trimEnd().split('\n');
  const history = lines.map((line) => JSON.parse(line) as Entry);
  const report = reportOf(history, 0n, [], violationsOf(history));
  printReport(report, say);
  return report.passed ? 0 : 1;
}

/** A path as the caller of npm means it. */
function fromCaller(path: string): string {
  return resolve(process.env['INIT_CWD'] ?? '.', path);
}

function say(line: string): void {
  console.log(line);
}
