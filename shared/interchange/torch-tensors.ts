/** The tensors in a pickle of torch.save: what its names mean, whatever file its storages lie in. */

import { DiffusionError, describeValue, isInteger } from '../foundation/index.js';
import { elementCount, elementSize, extentOf } from '../checkpoint/index.js';
import type { StoredDtype, StoredTensor } from '../checkpoint/index.js';
import { PickleGlobal } from './pickle.js';
import type { PickleMeanings, PickleValue } from './pickle.js';

/** Where the bytes of a storage lie in a file. */
export interface StorageBytes {
  readonly name: string;
  readonly position: number;
  readonly size: number;
  /** Undefined where the file has none. */
  readonly crc32?: number;
}

/** A tensor of a file of PyTorch's, and the storage that it lies in. */
export interface TorchTensor extends StoredTensor {
  readonly storage: StorageBytes;
}

interface Storage {
  readonly dtype: StoredDtype;
  readonly elements: number;
  readonly bytes: StorageBytes;
}

const STORAGES: Readonly<Record<string, StoredDtype>> = {
  'torch.FloatStorage': 'F32',
  'torch.DoubleStorage': 'F64',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.IntStorage': 'I32',
  'torch.LongStorage': 'I64',
  'torch.ByteStorage': 'U8',
};

const MAX_DIMENSIONS = 8;

/**
 * What the names in a pickle of tensors mean.
 *
 * @param bytesOf Where the storage of a key lies, which has so many bytes. @throws where the file has no such storage.
 * Source: pytorch/pytorch v2.9, torch/_utils.py (_rebuild_tensor_v2).
 */
export function tensorMeanings(bytesOf: (key: string, size: number) => StorageBytes): PickleMeanings {
  return {
    names: new Set(Object.keys(STORAGES)),
    calls: {
      'collections.OrderedDict': orderedDict,
      'torch._utils._rebuild_tensor_v2': tensorOf,
      'torch._utils._rebuild_parameter': parameterOf,
    },
    persistent: (id) => storageOf(id, bytesOf),
  };
}

/** Whether a value of a file is a tensor. */
export function isTorchTensor(value: PickleValue): value is TorchTensor {
  return value instanceof TensorInFile;
}

class TensorInFile implements TorchTensor {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly storage: StorageBytes;
  readonly #offset: number;

  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.dtype = storage.dtype;
    this.shape = shape;
    this.strides = strides;
    this.storage = storage.bytes;
    this.#offset = offset * elementSize(storage.dtype);
  }

  /** Asked for when the file is read: the old format says where storages lie behind what is in them. */
  get position(): number {
    return this.storage.position + this.#offset;
  }
}

class StorageInFile implements Storage {
  readonly dtype: StoredDtype;
  readonly elements: number;
  readonly bytes: StorageBytes;

  constructor(dtype: StoredDtype, elements: number, bytes: StorageBytes) {
    this.dtype = dtype;
    this.elements = elements;
    this.bytes = bytes;
  }
}

/** ('storage', its type, its key, the device, its elements, and in the old format a view or None). */
function storageOf(id: PickleValue, bytesOf: (key: string, size: number) => StorageBytes): Storage {
  const [kind, type, key, , elements, view] = Array.isArray(id) ? (id as PickleValue[]) : [];
  const dtype = type instanceof PickleGlobal ? STORAGES[type.name] : undefined;
  const isWhole = view === undefined || view === null;
  if (kind !== 'storage' || dtype === undefined || typeof key !== 'string' || !isCount(elements) || !isWhole)
    throw torchFault('a storage with its type, key and length', 'another value');
  return new StorageInFile(dtype, elements, bytesOf(key, elements * elementSize(dtype)));
}

/** _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks[, metadata]). */
function tensorOf(args: readonly PickleValue[]): TorchTensor {
  const [storage, offset, shape, strides] = args;
  if (!(storage instanceof StorageInFile)) throw torchFault('a tensor over a storage', 'another value');
  const fits =
    isCount(offset) &&
    isCounts(shape) &&
    isCounts(strides) &&
    shape.length === strides.length &&
    shape.length <= MAX_DIMENSIONS &&
    // Past 2^53 the sum isn't exact, but it is too large in any case.
    offset + extentOf({ shape, strides }) <= storage.elements &&
    isInteger(elementCount(shape));
  if (!fits) {
    const got = describeValue([offset, shape, strides]);
    throw torchFault(`offset, size and strides of a tensor within ${storage.elements} elements`, got);
  }
  return new TensorInFile(storage, offset, shape, strides);
}

/** _rebuild_parameter(data, requires_grad, backward_hooks): EMA weights are saved as parameters. */
function parameterOf([data]: readonly PickleValue[]): TorchTensor {
  if (isTorchTensor(data)) return data;
  throw torchFault('a parameter over a tensor', 'another value');
}

function orderedDict(args: readonly PickleValue[]): Map<PickleValue, PickleValue> {
  if (args.length > 0)
    throw torchFault('an empty OrderedDict, whose entries follow', `${args.length} arguments`);
  return new Map();
}

function isCount(value: PickleValue): value is number {
  return isInteger(value);
}

function isCounts(value: PickleValue): value is number[] {
  return Array.isArray(value) && value.every(isCount);
}

export function torchFault(wanted: string, got: unknown): DiffusionError {
  const text = `PyTorch file: wanted ${wanted}; got ${describeValue(got)}`;
  return new DiffusionError('TORCH_FILE_INVALID', text);
}
