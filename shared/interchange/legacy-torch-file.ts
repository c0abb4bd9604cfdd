/** Files of PyTorch before 1.6: five pickles, then the storages one after the other. They have no checksums. */

import type { ByteSource } from '../checkpoint/index.js';
import { isInteger } from '../foundation/index.js';
import { unpickleFrom } from './pickle.js';
import type { PickleMeanings, PickleValue } from './pickle.js';
import { tensorMeanings, torchFault } from './torch-tensors.js';
import type { StorageBytes } from './torch-tensors.js';

/** The first pickle, whole: a number of 80 bits. */
export const LEGACY_MAGIC = [
  ...[0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e],
] as const;

const PROTOCOL_VERSION = 1001;
const MAX_PICKLES_BYTES = 16 * 1024 * 1024;
/** The number of a storage's elements stands before them. */
const COUNT_BYTES = 8;

const NOTHING: PickleMeanings = {
  names: new Set(),
  calls: {},
  persistent: () => {
    throw torchFault('plain values', 'a storage');
  },
};

/** A storage whose place is found after the pickles. */
interface PlacedLater extends StorageBytes {
  position: number;
}

/**
 * As `openTorchFile` gives it.
 *
 * @throws DATA_LOSS: reasons PICKLE_INVALID, TORCH_FILE_INVALID.
 * Source: pytorch/pytorch v2.9, torch/serialization.py (_legacy_save, _legacy_load).
 */
export async function openLegacyTorchFile(source: ByteSource): Promise<PickleValue> {
  const bytes = new Uint8Array(Math.min(source.size, MAX_PICKLES_BYTES));
  await source.read(bytes, 0);
  const version = unpickleFrom(bytes, LEGACY_MAGIC.length, NOTHING);
  if (version.value !== PROTOCOL_VERSION)
    throw torchFault(`protocol version ${PROTOCOL_VERSION}`, version.value);
  const system = unpickleFrom(bytes, version.end, NOTHING);
  if (!(system.value instanceof Map) || system.value.get('little_endian') !== true)
    throw torchFault('little-endian numbers', 'others');

  const storages = new Map<string, PlacedLater>();
  const saved = unpickleFrom(
    bytes,
    system.end,
    tensorMeanings((key, size) => {
      const storage = storages.get(key) ?? { name: `storage ${key}`, position: 0, size };
      if (storage.size !== size) throw torchFault(`${storage.size} bytes in storage ${key}`, size);
      storages.set(key, storage);
      return storage;
    }),
  );
  const keys = unpickleFrom(bytes, saved.end, NOTHING);
  await placeStorages(source, keys.value, keys.end, storages);
  return saved.value;
}

/** Finds the storages in the order of their keys, and checks that they are all there is. */
async function placeStorages(
  source: ByteSource,
  keys: PickleValue,
  start: number,
  storages: ReadonlyMap<string, PlacedLater>,
): Promise<void> {
  if (!Array.isArray(keys) || keys.length !== storages.size || new Set(keys).size !== keys.length)
    throw torchFault(`a list of ${storages.size} keys of storages`, keys);
  let position = start;
  for (const key of keys as PickleValue[]) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (storage === undefined) throw torchFault('keys of storages that tensors have', key);
    if (position + COUNT_BYTES + storage.size > source.size)
      throw torchFault(`${storage.size} bytes of ${storage.name}`, 'the end of the file');
    const count = new DataView(new ArrayBuffer(COUNT_BYTES));
    await source.read(new Uint8Array(count.buffer), position);
    const elements = Number(count.getBigInt64(0, true));
    if (!isInteger(elements) || (elements === 0 ? storage.size !== 0 : storage.size % elements !== 0))
      throw torchFault(`as many elements as ${storage.name} has in ${storage.size} bytes`, elements);
    storage.position = position + COUNT_BYTES;
    position += COUNT_BYTES + storage.size;
  }
  if (position !== source.size)
    throw torchFault('the end of the file behind the last storage', `${source.size - position} bytes`);
}
