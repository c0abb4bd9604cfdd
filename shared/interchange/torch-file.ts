/** Files of `torch.save`: a zip archive of a pickle, which says what the tensors are, and of their storages. */

import { DiffusionError, describeValue, isInteger } from '../foundation/index.js';
import { PickleGlobal, unpickle } from './pickle.js';
import type { PickleValue } from './pickle.js';
import { extentOf } from '../checkpoint/index.js';
import type { ByteSource, StoredTensor } from '../checkpoint/index.js';
import { elementCount, elementSize } from '../checkpoint/index.js';
import type { StoredDtype } from '../checkpoint/index.js';
import { checkEntry, readZip } from './zip.js';
import type { ZipEntry } from './zip.js';

/** A tensor of a file of PyTorch's, and the archive's entry that it lies in. */
export interface TorchTensor extends StoredTensor {
  readonly entry: ZipEntry;
}

interface Storage {
  readonly dtype: StoredDtype;
  readonly elements: number;
  readonly entry: ZipEntry;
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

const PICKLE = 'data.pkl';
const MAX_PICKLE_BYTES = 16 * 1024 * 1024;
const MAX_DIMENSIONS = 8;
const MAX_BYTE_ORDER_BYTES = 16;

/**
 * What was saved, with every tensor in place of itself. Tensors may share storages and have any strides, as views do,
 * but lie within their storage; no tensor's bytes are read.
 *
 * @throws DATA_LOSS: reasons ZIP_INVALID, PICKLE_INVALID, TORCH_FILE_INVALID.
 * Source: pytorch/pytorch v2.9, torch/serialization.py (_save, _load), torch/_utils.py (_rebuild_tensor_v2).
 */
export async function openTorchFile(source: ByteSource): Promise<PickleValue> {
  const entries = await readZip(source);
  const names = [...entries.keys()].filter((name) => name.split('/').at(-1) === PICKLE);
  const [pickleName] = names;
  if (pickleName === undefined || names.length > 1) throw fault(`one ${PICKLE}`, `${names.length}`);
  const folder = pickleName.slice(0, -PICKLE.length);

  const read = async (name: string, maxBytes: number): Promise<Uint8Array | undefined> => {
    const entry = entries.get(folder + name);
    if (entry === undefined) return undefined;
    if (entry.size > maxBytes) throw fault(`${name} of at most ${maxBytes} bytes`, entry.size);
    await checkEntry(source, entry);
    const bytes = new Uint8Array(entry.size);
    await source.read(bytes, entry.position);
    return bytes;
  };

  const byteOrder = await read('byteorder', MAX_BYTE_ORDER_BYTES);
  const order = byteOrder === undefined ? 'little' : Buffer.from(byteOrder).toString('latin1');
  if (order !== 'little') throw fault('little-endian numbers', order);
  const pickle = (await read(PICKLE, MAX_PICKLE_BYTES)) ?? new Uint8Array();
  return unpickle(pickle, {
    names: new Set(Object.keys(STORAGES)),
    calls: {
      'collections.OrderedDict': orderedDict,
      'torch._utils._rebuild_tensor_v2': tensorOf,
      'torch._utils._rebuild_parameter': parameterOf,
    },
    persistent: (id) => storageOf(id, (key) => entries.get(`${folder}data/${key}`)),
  });
}

/** Whether a value of a file is a tensor. */
export function isTorchTensor(value: PickleValue): value is TorchTensor {
  return value instanceof TensorInFile;
}

class TensorInFile implements TorchTensor {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly position: number;
  readonly entry: ZipEntry;

  constructor(
    { dtype, entry }: Storage,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    this.dtype = dtype;
    this.shape = shape;
    this.strides = strides;
    this.position = entry.position + offset * elementSize(dtype);
    this.entry = entry;
  }
}

class StorageInFile implements Storage {
  readonly dtype: StoredDtype;
  readonly elements: number;
  readonly entry: ZipEntry;

  constructor(dtype: StoredDtype, elements: number, entry: ZipEntry) {
    this.dtype = dtype;
    this.elements = elements;
    this.entry = entry;
  }
}

/** ('storage', its type, its key, the device, its elements). */
function storageOf(id: PickleValue, entryOf: (key: string) => ZipEntry | undefined): Storage {
  const [kind, type, key, , elements] = Array.isArray(id) ? (id as PickleValue[]) : [];
  const dtype = type instanceof PickleGlobal ? STORAGES[type.name] : undefined;
  if (kind !== 'storage' || dtype === undefined || typeof key !== 'string' || !isCount(elements))
    throw fault('a storage with its type, key and length', 'another value');
  const entry = entryOf(key);
  if (entry?.size !== elements * elementSize(dtype)) {
    const wanted = `${elements * elementSize(dtype)} bytes for ${elements} elements of ${dtype} in data/${key}`;
    throw fault(wanted, entry?.size);
  }
  return new StorageInFile(dtype, elements, entry);
}

/** _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks[, metadata]). */
function tensorOf(args: readonly PickleValue[]): TorchTensor {
  const [storage, offset, shape, strides] = args;
  if (!(storage instanceof StorageInFile)) throw fault('a tensor over a storage', 'another value');
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
    throw fault(`offset, size and strides of a tensor within ${storage.elements} elements`, got);
  }
  return new TensorInFile(storage, offset, shape, strides);
}

/** _rebuild_parameter(data, requires_grad, backward_hooks): EMA weights are saved as parameters. */
function parameterOf([data]: readonly PickleValue[]): TorchTensor {
  if (isTorchTensor(data)) return data;
  throw fault('a parameter over a tensor', 'another value');
}

function orderedDict(args: readonly PickleValue[]): Map<PickleValue, PickleValue> {
  if (args.length > 0) throw fault('an empty OrderedDict, whose entries follow', `${args.length} arguments`);
  return new Map();
}

function isCount(value: PickleValue): value is number {
  return isInteger(value);
}

function isCounts(value: PickleValue): value is number[] {
  return Array.isArray(value) && value.every(isCount);
}

function fault(wanted: string, got: unknown): DiffusionError {
  const text = `PyTorch file: wanted ${wanted}; got ${describeValue(got)}`;
  return new DiffusionError('TORCH_FILE_INVALID', text);
}
