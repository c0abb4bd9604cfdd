/** `npm run interop`: whether PyTorch and TensorFlow load what is exported, and compute the same. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { standaloneContext } from '../../deploy/setup/context.js';
import { virtualEnvironment } from '../../deploy/setup/python.js';
import { decodeSafetensors, encodeSafetensors } from '../../shared/checkpoint/index.js';
import type { TensorData } from '../../shared/checkpoint/index.js';
import { createCompiledEngine } from '../../shared/engine/index.js';
import { deriveKey, gaussian } from '../../shared/random/index.js';
import { parameterSpecs, predictFunction, toEngineLayout } from '../../shared/model/index.js';
import { unetConfig } from '../../shared/recipe/index.js';
import type { PartialRecipe, TrainingRecipe } from '../../shared/recipe/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { run } from '../cli/sinks.js';
import { commitTiny, TINY } from '../sampler-service/tiny-model.js';

const BATCH = 3;
const TOLERANCE = 1e-5;

const RECIPES: readonly PartialRecipe[] = [
  { ...TINY, name: 'resampling-blocks' },
  {
    ...TINY,
    name: 'classes',
    dataset: { ...TINY.dataset, source: { kind: 'folder', path: '/images', classFolders: true } },
    architecture: { ...TINY.architecture, numClasses: 7, resblockUpdown: false, useScaleShiftNorm: false },
  },
  {
    ...TINY,
    name: 'plain',
    variant: 'DDPM',
    architecture: {
      ...TINY.architecture,
      resblockUpdown: false,
      convResample: false,
      useNewAttentionOrder: false,
    },
  },
];

const say = (line: string): void => {
  console.error(line);
};
const python = await virtualEnvironment(standaloneContext(say), {
  name: 'interop',
  requirements: join(import.meta.dirname, 'requirements.txt'),
  imports: 'torch, tensorflow, safetensors',
  size: 'some 3 GB',
});
for (const recipe of RECIPES) await judge(recipe);

async function judge(asked: PartialRecipe): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'interop-'));
  const storeFolder = join(folder, 'store');
  try {
    const store = await openLocalStore({ folder: storeFolder });
    const recipe = await commitTiny(store, { step: 7, recipe: asked });
    await store.close();
    const { name } = recipe;
    const weights = join(folder, 'weights.safetensors');
    await cli('export', name, '--store', storeFolder, '--output', weights);
    const saved = [
      '--format',
      'saved-model',
      '--batch-size',
      String(BATCH),
      '--output',
      join(folder, 'saved'),
    ];
    await cli('export', name, '--store', storeFolder, ...saved);
    const { tensors } = decodeSafetensors(await readFile(weights));
    await writeFile(join(folder, 'figures.safetensors'), encodeSafetensors(await figuresOf(recipe, tensors)));

    const judged = promisify(execFile)(python, ['-B', join(import.meta.dirname, 'judge.py'), folder]);
    const errors = JSON.parse((await judged).stdout) as Record<string, number>;
    for (const [library, error] of Object.entries(errors)) {
      say(`${name}: ${library} is ${error.toExponential(1)} of the largest magnitude away`);
      if (!(error <= TOLERANCE))
        throw new Error(`${name}, ${library}: wanted at most ${TOLERANCE}; got ${error}`);
    }
    await checkReturn(recipe, { folder, storeFolder, tensors });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What PyTorch saved comes back as it went. */
async function checkReturn(
  recipe: TrainingRecipe,
  {
    folder,
    storeFolder,
    tensors,
  }: {
    readonly folder: string;
    readonly storeFolder: string;
    readonly tensors: ReadonlyMap<string, TensorData>;
  },
): Promise<void> {
  const [file, back] = [join(folder, 'recipe.json'), join(folder, 'back.safetensors')];
  await writeFile(file, JSON.stringify(recipe));
  await cli('import', join(folder, 'weights.pt'), '--recipe', file, '--name', 'back', '--store', storeFolder);
  await cli('export', 'back', '--store', storeFolder, '--output', back);
  const returned = decodeSafetensors(await readFile(back)).tensors;
  for (const [name, { data }] of tensors) {
    const same = Buffer.compare(bytesOf(data), bytesOf(returned.get(name)?.data ?? new Uint8Array())) === 0;
    if (!same) throw new Error(`${name} came back different`);
  }
  say(`${recipe.name}: ${tensors.size} tensors came back from torch.save as they went`);
}

async function figuresOf(
  recipe: TrainingRecipe,
  tensors: ReadonlyMap<string, TensorData>,
): Promise<Map<string, TensorData>> {
  const config = unetConfig(recipe);
  const specs = parameterSpecs(config);
  const engine = await createCompiledEngine();
  const loaded = await engine.load({
    variables: specs.map(({ name, engineShape }) => ({ name, shape: engineShape })),
    functions: { predict: predictFunction(config, BATCH) },
  });
  await loaded.assign(
    new Map(
      specs.map((spec) => [spec.name, toEngineLayout(spec, tensors.get(spec.name)?.data as Float32Array)]),
    ),
  );
  const shape = [BATCH, config.imageSize, config.imageSize, config.inChannels];
  const elements = shape.reduce((product, size) => product * size, 1);
  const xT = gaussian(deriveKey(1n, 'interop'), [], elements);
  const [t, y] = [Float32Array.of(0, 17, 59), Int32Array.of(6, 0, 3)];
  const labels = config.numClasses === undefined ? {} : { y };
  const { modelOutput } = await loaded.run('predict', { xT, t, ...labels });
  await loaded.dispose();
  return new Map<string, TensorData>([
    ['xT', { dtype: 'F32', shape, data: xT }],
    ['t', { dtype: 'F32', shape: [BATCH], data: t }],
    ...(config.numClasses === undefined
      ? []
      : ([['y', { dtype: 'I32', shape: [BATCH], data: y }]] satisfies [string, TensorData][])),
    [
      'modelOutput',
      {
        dtype: 'F32',
        shape: [...shape.slice(0, 3), config.outChannels],
        data: modelOutput ?? new Float32Array(0),
      },
    ],
  ]);
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

async function cli(...words: string[]): Promise<void> {
  const { exitCode, err } = await run(words);
  if (exitCode !== 0) throw new Error(`ip-diffusion ${words.join(' ')}: ${err}`);
}
