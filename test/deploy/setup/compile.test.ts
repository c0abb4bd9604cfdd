/** What is compiled, and when: by a compiler that only writes down its arguments. */
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import test from 'ava';

import { compiledLibrary, type Compilation } from '../../../deploy/setup/compile.js';
import { SetupProblem } from '../../../deploy/setup/problem.js';
import { testContext } from './scratch.js';

const LIBRARY = { directory: '/library', files: ['a.so', 'b.so'], identity: 'library' } as const;
const COMPILATION: Compilation = {
  name: 'things',
  output: 'thing.node',
  announcement: 'compiling a thing',
  sources: ['shared/engine/native-kernels/tiles.cc', 'shared/engine/native-kernels/tiles.h'],
  includes: [],
  flags: ['-O1'],
  key: [],
};

/** A compiler of the given version. */
async function compiler(folder: string, version: string): Promise<string> {
  const file = join(folder, `compiler-${version}`);
  const script = `#!/bin/sh
if [ "$1" = --version ]; then echo "compiler ${version}"; exit; fi
for last; do :; done
echo "${version} $*" > "$last"
`;
  await writeFile(file, script);
  await chmod(file, 0o755);
  return file;
}

test.serial('another compiler compiles again, and the first one’s result stays', async (t) => {
  const context = await testContext(t);
  t.teardown(() => delete process.env['CXX']);
  const [one, two] = [await compiler(context.cache, '1'), await compiler(context.cache, '2')];
  process.env['CXX'] = one;
  const first = await compiledLibrary(context, LIBRARY, COMPILATION);
  process.env['CXX'] = two;
  const second = await compiledLibrary(context, LIBRARY, COMPILATION);
  t.regex(await readFile(second.file, 'utf8'), /^2 -O1 /);
  t.not(second.compiler, first.compiler);
  process.env['CXX'] = one;
  t.deepEqual(await compiledLibrary(context, LIBRARY, COMPILATION), first);
  t.is(context.lines.length, 2);
});

test.serial('a prebuilt set needs no compiler, where it is of the same sources and whole', async (t) => {
  const context = await testContext(t);
  t.teardown(() => delete process.env['CXX']);
  process.env['CXX'] = await compiler(context.cache, '1');
  const made = await compiledLibrary(context, LIBRARY, COMPILATION);
  const prebuilt = join(context.cache, 'elsewhere');
  const target = join(prebuilt, COMPILATION.name, basename(made.folder));
  await mkdir(target, { recursive: true });
  await cp(made.folder, target, { recursive: true });

  process.env['CXX'] = join(context.cache, 'missing');
  const other = { ...(await testContext(t)), prebuilt };
  t.is((await compiledLibrary(other, LIBRARY, COMPILATION)).file, join(target, COMPILATION.output));
  await t.throwsAsync(compiledLibrary(other, LIBRARY, { ...COMPILATION, flags: ['-O2'] }), {
    instanceOf: SetupProblem,
    message: /no C\+\+ compiler found/,
  });
  await writeFile(join(target, COMPILATION.output), 'damaged');
  await t.throwsAsync(compiledLibrary(other, LIBRARY, COMPILATION), {
    message: /no C\+\+ compiler found/,
  });
});

test.serial('what was compiled before is used without a compiler', async (t) => {
  const context = await testContext(t);
  t.teardown(() => delete process.env['CXX']);
  process.env['CXX'] = await compiler(context.cache, '1');
  const made = await compiledLibrary(context, LIBRARY, COMPILATION);
  process.env['CXX'] = join(context.cache, 'missing');
  t.deepEqual(await compiledLibrary(context, LIBRARY, COMPILATION), made);
});
