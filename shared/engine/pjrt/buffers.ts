/** Arrays in the memory of devices. Each of several devices has the same array, so that a program finds it on its own. */
import { checkArray, ELEMENTS, sizeOf } from './arrays.js';
import type { DeviceSpec, HostArray } from './arrays.js';
import type { Plugin } from './plugin.js';

/** An array in the devices' memory. It must be destroyed, also where a program has taken its memory. */
export interface DeviceBuffer extends DeviceSpec {
  /** For the plugin's functions, one for each device. */
  readonly pointers: readonly bigint[];
  /** A copy of one device's. @param device Which; all have the same. @throws DiffusionError as `Program.run`. */
  download(device?: number): Promise<HostArray>;
  /** Whether a program has taken its memory. */
  isDeleted(): boolean;
  destroy(): void;
}

/** What a client holds. */
export interface Holder {
  readonly plugin: Plugin;
  readonly client: bigint;
  readonly devices: readonly bigint[];
  /** Buffers and programs that aren't destroyed yet. */
  living: number;
}

/** kImmutableOnlyDuringCall: the plugin copies before it returns. */
const COPIED_DURING_CALL = 0;

/** Counts what is made, and what `destroy` then destroys once. */
export function counted(holder: Holder, destroy: () => void): () => void {
  holder.living += 1;
  let destroyed = false;
  return () => {
    if (destroyed) return;
    destroyed = true;
    holder.living -= 1;
    destroy();
  };
}

/** @param pointers One for each device. */
export function bufferOf(holder: Holder, pointers: readonly bigint[], spec: DeviceSpec): DeviceBuffer {
  const { plugin } = holder;
  return {
    ...{ dtype: spec.dtype, shape: spec.shape, pointers },
    download: (device = 0) => download(plugin, pointers[device] ?? 0n, spec),
    isDeleted: () => pointers.some((buffer) => plugin.call('Buffer_IsDeleted', { buffer }).is_deleted !== 0n),
    destroy: counted(holder, () => {
      destroyAll(plugin, pointers);
    }),
  };
}

/** Copies an array to every device. @throws DiffusionError as `Program.run`; Error where the array isn't what the spec says. */
export async function upload(holder: Holder, array: HostArray, spec: DeviceSpec): Promise<DeviceBuffer> {
  checkArray(array, spec);
  const { plugin, devices } = holder;
  const copies = await Promise.allSettled(devices.map((device) => copyTo(holder, device, array, spec)));
  const made = copies.flatMap((copy) => (copy.status === 'fulfilled' ? [copy.value] : []));
  const failed = copies.find(({ status }) => status === 'rejected');
  if (failed === undefined) return bufferOf(holder, made, spec);
  destroyAll(plugin, made);
  throw (failed as PromiseRejectedResult).reason;
}

async function copyTo(
  { plugin, client }: Holder,
  device: bigint,
  array: HostArray,
  spec: DeviceSpec,
): Promise<bigint> {
  const dims = BigInt64Array.from(spec.shape, BigInt);
  const { done_with_host_buffer: done, buffer } = await plugin.callOffThread('Client_BufferFromHostBuffer', {
    ...{ client, type: ELEMENTS[spec.dtype].type, device, num_dims: dims.length },
    host_buffer_semantics: COPIED_DURING_CALL,
    // Of nothing, there is no address.
    ...(array.length > 0 && { data: array }),
    ...(dims.length > 0 && { dims }),
  });
  try {
    await plugin.settled(done);
    return buffer;
  } catch (cause) {
    destroyAll(plugin, [buffer]);
    throw cause;
  }
}

async function download(plugin: Plugin, src: bigint, spec: DeviceSpec): Promise<HostArray> {
  const array = new ELEMENTS[spec.dtype].array(sizeOf(spec));
  if (array.length === 0) return array;
  const { event } = await plugin.callOffThread('Buffer_ToHostBuffer', {
    ...{ src, dst: array, dst_size: array.byteLength },
  });
  await plugin.settled(event);
  return array;
}

function destroyAll(plugin: Plugin, buffers: readonly bigint[]): void {
  for (const buffer of buffers) plugin.call('Buffer_Destroy', { buffer });
}
