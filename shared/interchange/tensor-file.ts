/** A network's weights in a file of another program, by name, in any of the supported formats. */

import { DiffusionError, describeValue } from '../foundation/index.js';
import { openSafetensors } from '../checkpoint/index.js';
import { readFloats } from '../checkpoint/index.js';
import type { ByteSource, StoredTensor } from '../checkpoint/index.js';
import { LEGACY_MAGIC, openLegacyTorchFile } from './legacy-torch-file.js';
import type { PickleValue } from './pickle.js';
import { openTorchFile } from './torch-file.js';
import { isTorchTensor } from './torch-tensors.js';
import type { StorageBytes, TorchTensor } from './torch-tensors.js';
import { checkEntry } from './zip.js';

export interface TensorFile {
  readonly format: 'PyTorch' | 'safetensors';
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** What was removed around the tensors, such as the prefix "module.". */
  readonly unwrapped: readonly string[];
  /**
   * Reads a tensor as float32, row-major, into an array of as many elements as its shape has.
   *
   * @throws DATA_LOSS where the bytes aren't those that were saved, or are integers.
   */
  read(name: string, into: Float32Array): Promise<void>;
}

/** Keys under which training programs save a state_dict among other things. */
const WRAPPERS = ['state_dict', 'model_state_dict', 'model'] as const;
/** Of every name, where the network was saved within DistributedDataParallel. */
const PARALLEL_PREFIX = 'module.';

const ZIP_MAGIC = [0x50, 0x4b, 0x03, 0x04];

/**
 * Opens a PyTorch file that holds a state_dict, alone or under one of the usual keys, or a safetensors file.
 *
 * @throws DATA_LOSS where the file is damaged or holds something else.
 */
export async function openTensorFile(source: ByteSource): Promise<TensorFile> {
  const start = new Uint8Array(Math.min(LEGACY_MAGIC.length, source.size));
  await source.read(start, 0);
  const startsWith = (magic: readonly number[]) => magic.every((byte, i) => start[i] === byte);
  if (startsWith(LEGACY_MAGIC)) return torchFile(source, await openLegacyTorchFile(source));
  if (startsWith(ZIP_MAGIC)) return torchFile(source, await openTorchFile(source));
  // Eight bytes of length, then JSON.
  if (start[8] === 0x7b) return named('safetensors', await openSafetensors(source), [], source);
  throw invalid('a file of torch.save or a safetensors file', 'another value');
}

function torchFile(source: ByteSource, saved: PickleValue): TensorFile {
  const { tensors, wrapper } = stateDictOf(saved);
  const file = named('PyTorch', tensors, wrapper === undefined ? [] : [`the key ${wrapper}`], source);
  // Tensors may share a storage; its checksum is taken once.
  const checked = new Map<StorageBytes, Promise<void>>();
  return {
    ...file,
    read: async (name, into) => {
      const { storage } = tensorNamed(file.tensors as ReadonlyMap<string, TorchTensor>, name);
      const check = checked.get(storage) ?? checkEntry(source, storage);
      checked.set(storage, check);
      await check;
      await file.read(name, into);
    },
  };
}

function named(
  format: TensorFile['format'],
  stored: ReadonlyMap<string, StoredTensor>,
  wrappers: readonly string[],
  source: ByteSource,
): TensorFile {
  const names = [...stored.keys()];
  const parallel = names.length > 0 && names.every((name) => name.startsWith(PARALLEL_PREFIX));
  const tensors = parallel
    ? new Map(Array.from(stored, ([name, tensor]) => [name.slice(PARALLEL_PREFIX.length), tensor]))
    : stored;
  return {
    format,
    tensors,
    unwrapped: parallel ? [...wrappers, `the prefix ${PARALLEL_PREFIX}`] : wrappers,
    read: (name, into) => readFloats(source, tensorNamed(tensors, name), into),
  };
}

function stateDictOf(saved: PickleValue): {
  readonly tensors: Map<string, TorchTensor>;
  readonly wrapper: string | undefined;
} {
  if (!(saved instanceof Map)) throw invalid('a state_dict', 'another value');
  const wrapper = WRAPPERS.find((key) => saved.get(key) instanceof Map);
  const dictionary = (wrapper === undefined ? saved : saved.get(wrapper)) as Map<PickleValue, PickleValue>;
  const tensors = new Map<string, TorchTensor>();
  for (const [name, value] of dictionary) {
    if (typeof name !== 'string' || !isTorchTensor(value)) {
      throw invalid('a state_dict that holds only tensors', `another value under ${describeValue(name)}`);
    }
    tensors.set(name, value);
  }
  return { tensors, wrapper };
}

function tensorNamed<T extends StoredTensor>(tensors: ReadonlyMap<string, T>, name: string): T {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw invalid(`a tensor ${describeValue(name)}`, 'none');
  return tensor;
}

function invalid(wanted: string, got: string): DiffusionError {
  return new DiffusionError('TENSOR_FILE_INVALID', `wanted ${wanted}; got ${got}`);
}
