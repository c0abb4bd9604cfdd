/** Programs: compiled for all devices of a client, and run on all of them at once. */
import { checkArguments } from './arrays.js';
import type { DeviceSpec } from './arrays.js';
import { bufferOf, counted } from './buffers.js';
import type { DeviceBuffer, Holder } from './buffers.js';
import { struct } from './calls.js';
import { addressOf, bytesAt, callPointer } from './plugin.js';
import type { Plugin } from './plugin.js';
import { programStruct } from './structs.js';

export interface ProgramText {
  /** A module of StableHLO, whose function `main` takes and gives what the two lists say. */
  readonly text: string;
  readonly parameters: readonly DeviceSpec[];
  readonly results: readonly DeviceSpec[];
}

export interface Program {
  /**
   * Runs the program, and waits until the devices have. One that gives the memory of an argument to a result deletes that
   * argument. Arguments are checked here, since plugins compare their sizes in bytes alone.
   *
   * @throws DiffusionError RESOURCE_EXHAUSTED (ENGINE_OUT_OF_MEMORY), INTERNAL (ENGINE_FAILED).
   */
  run(args: readonly DeviceBuffer[]): Promise<DeviceBuffer[]>;
  /** For `Client.deserialize` of the same plugin and kind of device. @throws as `run`, where the plugin can't. */
  serialize(): Promise<Uint8Array>;
  destroy(): void;
}

/** Words of PJRT_ExecuteOptions after its size and extensions. */
const EXECUTE_OPTIONS_WORDS = 16;

/** @param options As `compileOptions` makes them, for as many devices as the client has. @throws as `Program.run`. */
export async function compileProgram(
  holder: Holder,
  text: ProgramText,
  options: Uint8Array,
): Promise<Program> {
  const source = programStruct(text.text);
  const { executable } = await holder.plugin.callOffThread(
    'Client_Compile',
    {
      ...{ client: holder.client, program: source.words },
      ...{ compile_options: options, compile_options_size: options.length },
    },
    source.memory,
  );
  return programOf(holder, executable, text);
}

/** @throws as `Program.run`, where the plugin refuses the bytes. */
export async function loadProgram(holder: Holder, text: ProgramText, bytes: Uint8Array): Promise<Program> {
  const { loaded_executable: executable } = await holder.plugin.callOffThread(
    'Executable_DeserializeAndLoad',
    { client: holder.client, serialized: bytes, serialized_size: bytes.length },
  );
  return programOf(holder, executable, text);
}

/** @throws Error where the program has other results than it was said to have. */
async function programOf(
  holder: Holder,
  executable: bigint,
  { parameters, results }: ProgramText,
): Promise<Program> {
  const { plugin, devices } = holder;

  async function run(args: readonly DeviceBuffer[]): Promise<DeviceBuffer[]> {
    checkArguments(args, parameters);
    const argumentLists = devices.map((_, d) =>
      BigUint64Array.from(args, ({ pointers }) => pointers[d] ?? 0n),
    );
    const outputLists = devices.map(() => new BigUint64Array(Math.max(results.length, 1)));
    const completed = new BigUint64Array(devices.length);
    const call = {
      ...{ executable, num_devices: devices.length, num_args: args.length },
      options: struct(...Array<number>(EXECUTE_OPTIONS_WORDS).fill(0)),
      argument_lists: BigUint64Array.from(argumentLists, (list) => (list.length > 0 ? addressOf(list) : 0n)),
      output_lists: BigUint64Array.from(outputLists, addressOf),
      device_complete_events: completed,
    };
    await plugin.callOffThread('LoadedExecutable_Execute', call, [argumentLists, outputLists]);
    const made = results.map((spec, i) =>
      bufferOf(
        holder,
        outputLists.map((list) => list[i] ?? 0n),
        spec,
      ),
    );
    // All are awaited, since each event is to be destroyed.
    const settled = await Promise.allSettled(Array.from(completed, (event) => plugin.settled(event)));
    const failed = settled.find(({ status }) => status === 'rejected');
    if (failed === undefined) return made;
    for (const each of made) each.destroy();
    throw (failed as PromiseRejectedResult).reason;
  }

  /** What `use` gives for the executable behind the loaded one. */
  async function withExecutable<T>(use: (inner: bigint) => T | Promise<T>): Promise<T> {
    const { executable: inner } = plugin.call('LoadedExecutable_GetExecutable', {
      loaded_executable: executable,
    });
    try {
      return await use(inner);
    } finally {
      plugin.call('Executable_Destroy', { executable: inner });
    }
  }

  const destroy = counted(holder, () => {
    plugin.call('LoadedExecutable_Destroy', { executable });
  });
  const count = await withExecutable(
    (inner) => plugin.call('Executable_NumOutputs', { executable: inner }).num_outputs,
  );
  if (Number(count) !== results.length) {
    destroy();
    throw new Error(`a program: wanted ${results.length} results; got ${count}`);
  }
  return { run, serialize: () => withExecutable((inner) => serialized(plugin, inner)), destroy };
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
