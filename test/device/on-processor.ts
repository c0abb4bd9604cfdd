/**
 * Runs where a pack of parts was taken to (`processor-pack.ts`): times the CPU engine beside PyTorch on 1, 2, 4, 8 and 16 threads, and
 * leaves a table and `result.json`. It ends within its minutes: what isn't ready by then is left out, and said.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { createCompiledEngine } from '../../shared/engine/index.js';
import { processorFeatures } from '../../shared/foundation/index.js';
import { readIndex } from './packed.js';
import { findPeers } from './peers.js';
import { casesOf, compileAhead, jobOf, tableOf, THREADS } from './processor-jobs.js';
import type { ProcessorSetting } from './processor-jobs.js';
import { timings, worksOf } from './timings.js';

const HELP = `bash part-1/run.sh [--threads 1,2,4,8,16] [--python PROGRAM] [--minutes 8] [--out FILE] [--no-compile] [--no-peers]

  --threads     numbers of threads; those for which the machine has too few cores are left out
  --python      the Python that has PyTorch; default: python3
  --minutes     when it ends; default: 8
  --out         where the results go as JSON; default: result.json beside the parts
  --no-compile  PyTorch without torch.compile
  --no-peers    time the engine alone
`;

const MINUTE_MS = 60_000;
/** Of the time that is left, for what PyTorch compiles. */
const COMPILE_SHARE = 1 / 2;
/** Those by which a processor multiplies bfloat16. */
const BFLOAT16 = ['avx512_bf16', 'amx_bf16'];

const folder = import.meta.dirname;
const { values: given } = parseArgs({
  options: {
    threads: { type: 'string', default: THREADS.join(',') },
    python: { type: 'string', default: 'python3' },
    minutes: { type: 'string', default: '8' },
    out: { type: 'string', default: 'result.json' },
    'no-compile': { type: 'boolean', default: false },
    'no-peers': { type: 'boolean', default: false },
    // Of `run.sh`: when it began, in seconds since 1970.
    began: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<void> {
  const minutes = Number(given.minutes);
  if (!(minutes > 0)) throw new Error(`--minutes: wanted a number above 0; got ${given.minutes}`);
  const threads = given.threads.split(',').map(Number);
  if (!threads.every((each) => Number.isSafeInteger(each) && each > 0))
    throw new Error(`--threads: wanted numbers above 0, with commas between; got ${given.threads}`);
  const began = given.began === undefined ? Date.now() : 1000 * Number(given.began);
  const endsAt = performance.now() + minutes * MINUTE_MS - (Date.now() - began);
  if (spawnSync('taskset', ['--version']).error)
    throw new Error('taskset is absent; it is part of util-linux');
  const { commit, networks } = readIndex(folder);
  const { build } = await createCompiledEngine();
  const [torch] = given['no-peers'] ? [] : findPeers({ torch: given.python });
  const processors = allowedProcessors();
  const low = BFLOAT16.some((feature) => processorFeatures().has(feature));
  const about = {
    ...{ commit, processor: cpus()[0]?.model.trim() ?? '', cores: processors.length },
    // Two threads of a core are slower than two cores.
    ...{
      sharesCoreWithFirst: siblingsOf(processors[0] ?? 0),
      bfloat16: low ? 'yes' : 'the processor lacks it',
    },
    ...{ engine: build.library, kernels: build.kernelLevel ?? build.withoutKernels?.reason },
    pytorch: torch === undefined ? 'not asked for' : (torch.absent ?? torch.version),
  };
  console.log(about);
  const setting: ProcessorSetting = { folder, processors, torch, cacheFolder: join(tmpdir(), 'compiled') };
  const works = worksOf(networks).filter(({ precision }) => low || precision !== 'bfloat16');
  const groups = casesOf(works, threads, processors);
  const cases = groups.flat();
  const compiles = torch !== undefined && torch.absent === undefined && !given['no-compile'];
  if (compiles) console.log('PyTorch compiles');
  const limitMs = (endsAt - performance.now()) * COMPILE_SHARE;
  const compiled = compiles ? await compileAhead(cases, setting, limitMs) : undefined;
  const jobs = groups.map((group) => group.map((each) => jobOf(each, setting, compiled)));
  const rows = await timings(jobs, folder, endsAt, (line) => {
    console.log(line);
  });
  const table = tableOf(cases, rows);
  console.table(table);
  writeFileSync(given.out, `${JSON.stringify({ about, table, rows }, undefined, 2)}\n`);
  console.log(`the results are in ${given.out}`);
}

/** By number; as many as may be used at the same time. */
function allowedProcessors(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1] ?? '0';
  const numbers = list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  return numbers.slice(0, availableParallelism());
}

function siblingsOf(processor: number): string {
  try {
    const topology = `/sys/devices/system/cpu/cpu${processor}/topology/thread_siblings_list`;
    return readFileSync(topology, 'utf8').trim();
  } catch {
    return 'unknown';
  }
}

if (given.help) process.stdout.write(HELP);
else await main();
process.exit(0);
