/** A device of a plugin: compiles programs for it, keeps arrays in its memory, and runs the programs over these. */
import { DiffusionError } from '../../foundation/index.js';
import { addressOf, bytesAt, callPointer, textAt, words } from './plugin.js';
import type { Plugin } from './plugin.js';
import { struct } from './calls.js';

export type DeviceDtype = 'float32' | 'bfloat16' | 'int32' | 'uint8' | 'bool';

export interface DeviceSpec {
  readonly dtype: DeviceDtype;
  readonly shape: readonly number[];
}

/** bool as 0 and 1; bfloat16 as its bits. */
export type HostArray = Float32Array | Uint16Array | Int32Array | Uint8Array;

/** An array in the device's memory. It must be destroyed, also where a program has taken its memory. */
export interface DeviceBuffer extends DeviceSpec {
  /** For the plugin's functions. */
  readonly pointer: bigint;
  /** A copy. @throws DiffusionError as `Program.run`. */
  download(): Promise<HostArray>;
  /** Whether a program has taken its memory. */
  isDeleted(): boolean;
  destroy(): void;
}

export interface ProgramText {
  /** A module of StableHLO, whose function `main` takes and gives what the two lists say. */
  readonly text: string;
  readonly parameters: readonly DeviceSpec[];
  readonly results: readonly DeviceSpec[];
}

export interface Program {
  /**
   * Runs the program, and waits until the device has. One that gives the memory of an argument to a result deletes that
   * argument. Arguments are checked here, since plugins compare their sizes in bytes alone.
   *
   * @throws DiffusionError RESOURCE_EXHAUSTED (ENGINE_OUT_OF_MEMORY), INTERNAL (ENGINE_FAILED).
   */
  run(args: readonly DeviceBuffer[]): Promise<DeviceBuffer[]>;
  /** For `Client.deserialize` of the same plugin and kind of device. @throws as `run`, where the plugin can't. */
  serialize(): Promise<Uint8Array>;
  destroy(): void;
}

export interface Client {
  readonly plugin: Plugin;
  /** XLA's name of the platform: cpu, cuda, rocm, tpu. */
  readonly platform: string;
  readonly platformVersion: string;
  /** The first device's kind, such as "NVIDIA H100 80GB HBM3". */
  readonly deviceKind: string;
  readonly devices: number;
  /** @throws as `Program.run`. */
  compile(program: ProgramText, options: Uint8Array): Promise<Program>;
  deserialize(program: ProgramText, bytes: Uint8Array): Promise<Program>;
  upload(array: HostArray, spec: DeviceSpec): Promise<DeviceBuffer>;
  /** Buffers and programs that aren't destroyed yet. */
  live(): number;
  /** Ends the device; buffers and programs must be destroyed before. */
  close(): void;
}

/** A plugin's own options, such as `memory_fraction`. Numbers with a fraction are floats. */
export type ClientOptions = Readonly<Record<string, string | number | boolean | bigint>>;

/** PJRT_Buffer_Type, and the array that holds such elements. */
const ELEMENTS = {
  bool: { type: 1, array: Uint8Array },
  int32: { type: 4, array: Int32Array },
  uint8: { type: 6, array: Uint8Array },
  float32: { type: 11, array: Float32Array },
  bfloat16: { type: 13, array: Uint16Array },
} as const satisfies Record<DeviceDtype, unknown>;

/** kImmutableOnlyDuringCall: the plugin copies before it returns. */
const COPIED_DURING_CALL = 0;

/**
 * Starts a plugin's first device.
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) where there is none, or it can't be started.
 */
export async function createClient(plugin: Plugin, options: ClientOptions = {}): Promise<Client> {
  const client = await start(plugin, options);
  const [device, devices] = firstDevice(plugin, client);
  let living = 0;

  function buffer(pointer: bigint, spec: DeviceSpec): DeviceBuffer {
    living += 1;
    let destroyed = false;
    return {
      ...spec,
      pointer,
      download: () => download(plugin, pointer, spec),
      isDeleted: () => plugin.call('Buffer_IsDeleted', { buffer: pointer }).is_deleted !== 0n,
      destroy: () => {
        if (destroyed) return;
        destroyed = true;
        living -= 1;
        plugin.call('Buffer_Destroy', { buffer: pointer });
      },
    };
  }

  async function upload(array: HostArray, spec: DeviceSpec): Promise<DeviceBuffer> {
    const { type } = ELEMENTS[spec.dtype];
    checkArray(array, spec);
    const dims = BigInt64Array.from(spec.shape, BigInt);
    const { done_with_host_buffer: done, buffer: pointer } = await plugin.callOffThread(
      'Client_BufferFromHostBuffer',
      {
        ...{ client, type, device, host_buffer_semantics: COPIED_DURING_CALL, num_dims: dims.length },
        // Of nothing, there is no address.
        ...(array.length > 0 && { data: array }),
        ...(dims.length > 0 && { dims }),
      },
    );
    const uploaded = buffer(pointer, spec);
    try {
      await plugin.settled(done);
    } catch (cause) {
      uploaded.destroy();
      throw cause;
    }
    return uploaded;
  }

  function program(executable: bigint, { parameters, results }: ProgramText): Program {
    living += 1;
    let destroyed = false;

    async function run(args: readonly DeviceBuffer[]): Promise<DeviceBuffer[]> {
      checkArguments(args, parameters);
      const argumentList = BigUint64Array.from(args, ({ pointer }) => pointer);
      const outputs = new BigUint64Array(Math.max(results.length, 1));
      const completed = new BigUint64Array(1);
      // PJRT_ExecuteOptions.
      const executeOptions = struct(...Array<number>(16).fill(0));
      const call = {
        ...{ executable, options: executeOptions, num_devices: 1, num_args: args.length },
        argument_lists: BigUint64Array.of(args.length > 0 ? addressOf(argumentList) : 0n),
        output_lists: BigUint64Array.of(addressOf(outputs)),
        device_complete_events: completed,
      };
      await plugin.callOffThread('LoadedExecutable_Execute', call, [argumentList, outputs]);
      const made = results.map((spec, i) => buffer(outputs[i] ?? 0n, spec));
      try {
        await plugin.settled(completed[0] ?? 0n);
      } catch (cause) {
        for (const each of made) each.destroy();
        throw cause;
      }
      return made;
    }

    async function serialize(): Promise<Uint8Array> {
      const { executable: inner } = plugin.call('LoadedExecutable_GetExecutable', {
        loaded_executable: executable,
      });
      try {
        return await serialized(plugin, inner);
      } finally {
        plugin.call('Executable_Destroy', { executable: inner });
      }
    }

    return {
      run,
      serialize,
      destroy: () => {
        if (destroyed) return;
        destroyed = true;
        living -= 1;
        plugin.call('LoadedExecutable_Destroy', { executable });
      },
    };
  }

  async function compile(text: ProgramText, options: Uint8Array): Promise<Program> {
    const source = programStruct(text.text);
    const { executable } = await plugin.callOffThread(
      'Client_Compile',
      { client, program: source.words, compile_options: options, compile_options_size: options.length },
      source.memory,
    );
    return checkedProgram(program(executable, text), executable, text);
  }

  async function deserialize(text: ProgramText, bytes: Uint8Array): Promise<Program> {
    const { loaded_executable: executable } = await plugin.callOffThread('Executable_DeserializeAndLoad', {
      ...{ client, serialized: bytes, serialized_size: bytes.length },
    });
    return checkedProgram(program(executable, text), executable, text);
  }

  /** @throws Error where the program has other results than it was said to have. */
  function checkedProgram(made: Program, executable: bigint, { results }: ProgramText): Program {
    const { executable: inner } = plugin.call('LoadedExecutable_GetExecutable', {
      loaded_executable: executable,
    });
    const { num_outputs: count } = plugin.call('Executable_NumOutputs', { executable: inner });
    plugin.call('Executable_Destroy', { executable: inner });
    if (Number(count) === results.length) return made;
    made.destroy();
    throw new Error(`a program: wanted ${results.length} results; got ${count}`);
  }

  const platform = plugin.call('Client_PlatformName', { client });
  const version = plugin.call('Client_PlatformVersion', { client });
  return {
    ...{ plugin, devices, compile, deserialize, upload },
    platform: textAt(platform.name, platform.name_size),
    platformVersion: textAt(version.version, version.version_size).trim(),
    deviceKind: kindOf(plugin, device),
    live: () => living,
    close: () => {
      plugin.call('Client_Destroy', { client });
    },
  };
}

async function start(plugin: Plugin, options: ClientOptions): Promise<bigint> {
  const named = namedValues(options);
  try {
    const given = { num_options: named.count, ...(named.count > 0 && { create_options: named.words }) };
    const { client } = await plugin.callOffThread('Client_Create', given, named.memory);
    return client;
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new DiffusionError('ENGINE_START', `the device of ${plugin.file} did not start: ${text}`, {
      cause,
      metadata: { remedy: 'ip-diffusion doctor' },
    });
  }
}

function firstDevice(plugin: Plugin, client: bigint): [device: bigint, count: number] {
  const { devices, num_devices: count } = plugin.call('Client_AddressableDevices', { client });
  if (count === 0n) {
    plugin.call('Client_Destroy', { client });
    throw new DiffusionError('ENGINE_START', `the PJRT plugin ${plugin.file} has no device`);
  }
  return [words(devices, 1)[0] ?? 0n, Number(count)];
}

function kindOf(plugin: Plugin, device: bigint): string {
  const { device_description: description } = plugin.call('Device_GetDescription', { device });
  const { kind, kind_size: size } = plugin.call('DeviceDescription_Kind', {
    device_description: description,
  });
  return textAt(kind, size);
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

/** The bytes of an executable, which the plugin then frees. */
export async function serialized(plugin: Plugin, executable: bigint): Promise<Uint8Array> {
  const answer = await plugin.callOffThread('Executable_Serialize', { executable });
  try {
    return bytesAt(answer.bytes, answer.bytes_size);
  } finally {
    if (answer.deleter !== 0n) callPointer(answer.deleter, answer.serialized);
  }
}

/** Structs, and the memory that they point to. */
interface Structs {
  readonly words: BigUint64Array;
  readonly memory: readonly object[];
}

/** PJRT_Program. */
export function programStruct(text: string): Structs {
  const [code, format] = [Buffer.from(text), Buffer.from('mlir')];
  const source = struct(addressOf(code), code.length, addressOf(format), format.length);
  return { words: source, memory: [code, format] };
}

/** PJRT_NamedValue[]. */
export function namedValues(options: ClientOptions): Structs & { readonly count: number } {
  const memory: object[] = [];
  const address = (bytes: Buffer): bigint => {
    // An empty text has an address as well.
    const terminated = Buffer.concat([bytes, Buffer.of(0)]);
    memory.push(terminated);
    return addressOf(terminated);
  };
  const structs = Object.entries(options).map(([name, value]) => {
    const [type, word, size] = valueWords(value, address);
    return struct(address(Buffer.from(name)), Buffer.byteLength(name), type, word, size);
  });
  const all = BigUint64Array.from(structs.flatMap((each) => [...each]));
  return { words: all, memory, count: structs.length };
}

/** The type, the word that holds the value or its address, and the count. */
function valueWords(
  value: ClientOptions[string],
  address: (bytes: Buffer) => bigint,
): [type: number, word: bigint, size: number] {
  if (typeof value === 'string') return [0, address(Buffer.from(value)), Buffer.byteLength(value)];
  if (typeof value === 'bigint') return [1, value, 1];
  if (typeof value === 'boolean') return [4, value ? 1n : 0n, 1];
  return [3, BigInt(new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0), 1];
}

const sizeOf = ({ shape }: DeviceSpec): number => shape.reduce((size, length) => size * length, 1);

const describe = ({ dtype, shape }: DeviceSpec): string => `${dtype}[${shape.join(',')}]`;

function checkArray(array: HostArray, spec: DeviceSpec): void {
  const { array: of } = ELEMENTS[spec.dtype];
  if (array instanceof of && array.length === sizeOf(spec)) return;
  throw new Error(`wanted ${describe(spec)}; got ${array.length} of ${array.constructor.name}`);
}

function checkArguments(args: readonly DeviceBuffer[], parameters: readonly DeviceSpec[]): void {
  const [got, wanted] = [args, parameters].map((specs) => specs.map(describe).join(', '));
  if (got !== wanted) throw new Error(`a program takes (${wanted ?? ''}); got (${got ?? ''})`);
}
