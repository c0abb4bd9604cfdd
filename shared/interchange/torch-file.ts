/** Files of `torch.save`: a zip archive of a pickle, which says what the tensors are, and of their storages. */

import type { ByteSource } from '../checkpoint/index.js';
import { unpickle } from './pickle.js';
import type { PickleValue } from './pickle.js';
import { tensorMeanings, torchFault } from './torch-tensors.js';
import { checkEntry, readZip } from './zip.js';

const PICKLE = 'data.pkl';
const MAX_PICKLE_BYTES = 16 * 1024 * 1024;
const MAX_BYTE_ORDER_BYTES = 16;

/**
 * What was saved, with every tensor in place of itself. Tensors may share storages and have any strides, as views do,
 * but lie within their storage; no tensor's bytes are read.
 *
 * @throws DATA_LOSS: reasons ZIP_INVALID, PICKLE_INVALID, TORCH_FILE_INVALID.
 * Source: pytorch/pytorch v2.9, torch/serialization.py (_save, _load).
 */
export async function openTorchFile(source: ByteSource): Promise<PickleValue> {
  const entries = await readZip(source);
  const names = [...entries.keys()].filter((name) => name.split('/').at(-1) === PICKLE);
  const [pickleName] = names;
  if (pickleName === undefined || names.length > 1) throw torchFault(`one ${PICKLE}`, `${names.length}`);
  const folder = pickleName.slice(0, -PICKLE.length);

  const read = async (name: string, maxBytes: number): Promise<Uint8Array | undefined> => {
    const entry = entries.get(folder + name);
    if (entry === undefined) return undefined;
    if (entry.size > maxBytes) throw torchFault(`${name} of at most ${maxBytes} bytes`, entry.size);
    await checkEntry(source, entry);
    const bytes = new Uint8Array(entry.size);
    await source.read(bytes, entry.position);
    return bytes;
  };

  const byteOrder = await read('byteorder', MAX_BYTE_ORDER_BYTES);
  const order = byteOrder === undefined ? 'little' : Buffer.from(byteOrder).toString('latin1');
  if (order !== 'little') throw torchFault('little-endian numbers', order);
  const pickle = (await read(PICKLE, MAX_PICKLE_BYTES)) ?? new Uint8Array();
  return unpickle(
    pickle,
    tensorMeanings((key, size) => {
      const entry = entries.get(`${folder}data/${key}`);
      if (entry?.size === size) return entry;
      throw torchFault(`${size} bytes in data/${key}`, entry?.size);
    }),
  );
}
