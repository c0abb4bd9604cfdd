/** Plugins, programs and buffers of PJRT, on XLA's CPU plugin. */
import { readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import anyTest from 'ava';

import { createClient } from '../../../shared/engine/pjrt/client.js';
import type { DeviceSpec } from '../../../shared/engine/pjrt/arrays.js';
import type { Client } from '../../../shared/engine/pjrt/client.js';
import { compileOptions } from '../../../shared/engine/pjrt/compile-options.js';
import { executableCache } from '../../../shared/engine/pjrt/executable-cache.js';
import { checkVersion, failure, loadPlugin } from '../../../shared/engine/pjrt/plugin.js';
import { DiffusionError } from '../../../shared/foundation/index.js';
import { CPU_PLUGIN, test } from './plugin-file.js';

const FOUR: DeviceSpec = { dtype: 'float32', shape: [4] };
const ADDED = {
  text: `module { func.func public @main(%a: tensor<4xf32> {tf.aliasing_output = 0 : i32}, %b: tensor<4xf32>) -> (tensor<4xf32>, tensor<i32>) {
    %0 = stablehlo.add %a, %b : tensor<4xf32>
    %1 = stablehlo.constant dense<7> : tensor<i32>
    return %0, %1 : tensor<4xf32>, tensor<i32>
  } }`,
  parameters: [FOUR, FOUR],
  results: [FOUR, { dtype: 'int32', shape: [] }],
} as const;

async function withClient(use: (client: Client) => Promise<void>): Promise<number> {
  const client = await createClient(loadPlugin(CPU_PLUGIN ?? ''));
  try {
    await use(client);
    return client.live();
  } finally {
    client.close();
  }
}

test('a program runs off the thread, takes the memory of a donated argument, and leaves nothing', async (t) => {
  const live = await withClient(async (client) => {
    t.is(client.platform, 'cpu');
    t.deepEqual(client.devices, [0]);
    const { bytesInUse = 0 } = client.memory() ?? {};
    t.true(bytesInUse >= 0);
    const program = await client.compile(ADDED, compileOptions());
    const [a, b] = [
      await client.upload(Float32Array.of(1, 2, 3, 4), FOUR),
      await client.upload(Float32Array.of(10, 20, 30, 40), FOUR),
    ];
    const [sum, seven] = await program.run([a, b]);
    t.deepEqual(await sum?.download(), Float32Array.of(11, 22, 33, 44));
    t.deepEqual(await seven?.download(), Int32Array.of(7));
    t.deepEqual([a.isDeleted(), b.isDeleted()], [true, false]);
    t.is(client.live(), 5);
    for (const each of [a, b, sum, seven, program]) each?.destroy();
    // A second time does nothing.
    a.destroy();
  });
  t.is(live, 0);
});

test('arrays of every type and of no elements come back as they went', async (t) => {
  const live = await withClient(async (client) => {
    const arrays = [
      [Float32Array.of(1.5, NaN, -Infinity), 'float32'],
      [Int32Array.of(-1, 2 ** 31 - 1, 0), 'int32'],
      [Uint8Array.of(0, 255, 7), 'uint8'],
      [Uint8Array.of(0, 1, 1), 'bool'],
      [Uint16Array.of(0x3f80, 0xff80, 0), 'bfloat16'],
    ] as const;
    for (const [array, dtype] of arrays) {
      const buffer = await client.upload(array, { dtype, shape: [3] });
      t.deepEqual(await buffer.download(), array);
      buffer.destroy();
    }
    const none = await client.upload(new Float32Array(0), { dtype: 'float32', shape: [0, 2] });
    t.is((await none.download()).length, 0);
    none.destroy();
  });
  t.is(live, 0);
});

test('what a program does not take is refused before it runs, since the plugin compares bytes alone', async (t) => {
  await withClient(async (client) => {
    const program = await client.compile(ADDED, compileOptions());
    const wrong = await client.upload(Int32Array.of(1, 2, 3, 4), { dtype: 'int32', shape: [4] });
    await t.throwsAsync(program.run([wrong, wrong]), {
      message: /takes \(float32\[4\], float32\[4\]\); got \(int32/,
    });
    await t.throwsAsync(client.upload(new Float32Array(3), FOUR), {
      message: /wanted float32\[4\]; got 3/,
    });
    const other = { ...ADDED, results: [FOUR] };
    await t.throwsAsync(client.compile(other, compileOptions()), { message: /wanted 1 results; got 2/ });
    wrong.destroy();
    program.destroy();
    t.is(client.live(), 0);
  });
});

test('what a plugin refuses is an error of the engine, and the plugin goes on', async (t) => {
  await withClient(async (client) => {
    const refused = { instanceOf: DiffusionError, code: 'INTERNAL' };
    const text = await t.throwsAsync(
      client.compile({ ...ADDED, text: 'module { none' }, compileOptions()),
      refused,
    );
    t.regex(text.message, /while compiling a program: .*none/);
    const flags = compileOptions({ xla_no_such_flag: true });
    const flag = await t.throwsAsync(client.compile(ADDED, flags), refused);
    t.regex(flag.message, /xla_no_such_flag/);
    (await client.compile(ADDED, compileOptions({ xla_allow_excess_precision: false }))).destroy();
    t.is(client.live(), 0);
  });
});

test('a compiled program is kept on disk; what is damaged or refused there is compiled again', async (t) => {
  const folder = join(mkdtempSync(join(tmpdir(), 'pjrt-')), 'programs');
  await withClient(async (client) => {
    let compiled = 0;
    const counting: Client = {
      ...client,
      compile: (...args) => {
        compiled += 1;
        return client.compile(...args);
      },
    };
    const cache = executableCache(folder);
    async function removeOthers(kept: string): Promise<void> {
      for (const file of await readdir(folder)) if (file !== kept) await rm(join(folder, file));
    }
    async function check(): Promise<void> {
      const program = await cache.compile(counting, ADDED, compileOptions());
      const args = [
        await client.upload(new Float32Array(4), FOUR),
        await client.upload(Float32Array.of(1, 2, 3, 4), FOUR),
      ];
      const results = await program.run(args);
      t.deepEqual(await results[0]?.download(), Float32Array.of(1, 2, 3, 4));
      t.true(args[0]?.isDeleted());
      for (const each of [...args, ...results, program]) each.destroy();
    }
    await check();
    await check();
    t.is(compiled, 1);
    const [name = ''] = await readdir(folder);
    const bytes = await readFile(join(folder, name));
    bytes[40] = (bytes[40] ?? 0) ^ 1;
    await writeFile(join(folder, name), bytes);
    await check();
    t.is(compiled, 2);
    // Another device, another release of the platform and another plugin each have programs of their own.
    for (const [at, other] of [
      { deviceKind: 'another' },
      { platformVersion: '2' },
      { plugin: { ...client.plugin, identity: 'other' } },
    ].entries()) {
      (await cache.compile({ ...counting, ...other }, ADDED, compileOptions())).destroy();
      t.is(compiled, 3 + at);
      await removeOthers(name);
    }
    compiled = 2;
    // Other options are another program.
    (await cache.compile(counting, ADDED, compileOptions({ xla_allow_excess_precision: false }))).destroy();
    t.is(compiled, 3);
    t.is((await readdir(folder)).length, 2);
    // The one that was used longest ago goes.
    await utimes(join(folder, name), 1, 1);
    const { size } = await stat(join(folder, name));
    const small = executableCache(folder, Math.round(2.5 * size));
    for (const level of [1, 2]) {
      (
        await small.compile(counting, ADDED, compileOptions({ xla_backend_optimization_level: level }))
      ).destroy();
    }
    const left = await readdir(folder);
    t.false(left.includes(name));
    t.true(left.length <= 2);
    t.is(client.live(), 0);
  });
});

/** How often the event loop turns, at most 3 times, before some work is done. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  const turning = setImmediate(function turn() {
    turns += 1;
    if (turns < 3) setImmediate(turn);
  });
  await work;
  clearImmediate(turning);
  return turns;
}

test('the event loop is free while a program is compiled and runs', async (t) => {
  const size = 512;
  const square: DeviceSpec = { dtype: 'float32', shape: [size, size] };
  const type = `tensor<${size}x${size}xf32>`;
  const product = `%1 = stablehlo.dot_general %0, %0, contracting_dims = [1] x [0] : (${type}, ${type}) -> ${type}`;
  const text = `module { func.func public @main(%0: ${type}) -> ${type} {\n${product}\nreturn %1 : ${type} } }`;
  await withClient(async (client) => {
    const x = await client.upload(new Float32Array(size * size), square);
    const compiling = client.compile({ text, parameters: [square], results: [square] }, compileOptions());
    t.true((await turnsDuring(compiling)) > 0);
    const program = await compiling;
    const running = program.run([x]);
    t.true((await turnsDuring(running)) > 0);
    const [y] = await running;
    for (const each of [x, y, program]) each?.destroy();
  });
});

anyTest('a file that is no plugin, and another version of the API, are refused with what to do', (t) => {
  for (const [file, message] of [
    ['/nowhere/plugin.so', /did not load/],
    [process.execPath, /did not load/],
  ] as const) {
    const error = t.throws(() => loadPlugin(file), { instanceOf: DiffusionError });
    t.is(error.reason, 'ENGINE_START');
    t.regex(error.message, message);
    t.truthy(error.metadata['remedy']);
  }
  for (const [major, minor] of [
    [1, 0],
    [0, 12],
  ] as const) {
    const error = t.throws(
      () => {
        checkVersion('plugin.so', major, minor);
      },
      { instanceOf: DiffusionError },
    );
    t.regex(error.message, new RegExp(`has version ${major}\\.${minor} of the API; wanted 0\\.90`));
  }
  t.notThrows(() => {
    checkVersion('plugin.so', 0, 120);
  });
});

test('what does not fit into memory is ENGINE_OUT_OF_MEMORY, and the plugin goes on', async (t) => {
  const live = await withClient(async (client) => {
    // 4 EiB: no machine has that many.
    const huge: DeviceSpec = { dtype: 'float32', shape: [2 ** 30, 2 ** 30] };
    const type = `tensor<${huge.shape.join('x')}xf32>`;
    const text = `module { func.func public @main(%0: tensor<f32>) -> ${type} {
      %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> ${type}
      return %1 : ${type} } }`;
    const scalar: DeviceSpec = { dtype: 'float32', shape: [] };
    const program = await client.compile({ text, parameters: [scalar], results: [huge] }, compileOptions());
    const one = await client.upload(Float32Array.of(1), scalar);
    const error = await t.throwsAsync(program.run([one]), { instanceOf: DiffusionError });
    t.is(error.reason, 'ENGINE_OUT_OF_MEMORY', error.message);
    t.deepEqual(await one.download(), Float32Array.of(1));
    for (const each of [one, program]) each.destroy();
  });
  t.is(live, 0);
});

anyTest("a plugin's failure keeps what it said; out of memory is a reason of its own", (t) => {
  const full = failure('LoadedExecutable_Execute', 8, 'Out of memory allocating 8 bytes');
  t.is(full.reason, 'ENGINE_OUT_OF_MEMORY');
  t.is(full.code, 'RESOURCE_EXHAUSTED');
  t.regex(full.message, /^out of device memory while running a program: Out of memory allocating 8 bytes$/);
  t.is(failure('Client_Compile', 3, 'x'.repeat(9000)).message.length < 3000, true);
});

anyTest('the compile options are those of XLA, byte by byte', (t) => {
  t.is(Buffer.from(compileOptions()).toString('hex'), '1a0420012801');
  const flags = compileOptions({ a: true, b: 300, c: 'x' });
  t.is(
    Buffer.from(flags).toString('hex'),
    ['1a0420012801', '3a070a016112021001', '3a080a016212031' + '8ac02', '3a080a016312030a0178'].join(''),
  );
  // Two parts, on the devices 0 and 3, divided by Shardy.
  t.is(
    Buffer.from(compileOptions({}, [0, 3])).toString('hex'),
    ['1a19', '20012802', '3001', '4a0e', '08011002', '1a030a0100', '1a030a0103', '980101'].join(''),
  );
  t.is(Buffer.from(compileOptions({}, [5])).toString('hex'), '1a0420012801');
});
