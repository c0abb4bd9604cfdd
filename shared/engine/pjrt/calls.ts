/**
 * The functions of PJRT's C API that the engine calls: where each stands in the plugin's table, and the fields of its one
 * argument, a struct of 64-bit words after its size and its extensions.
 *
 * Source: openxla/xla xla/pjrt/c/pjrt_c_api.h, version 0.115.
 */

/** Smaller fields are followed by padding, so that each stands at the start of a word. */
interface Call {
  readonly index: number;
  readonly fields: readonly string[];
}

/** Ten numbers with a flag each, which nobody here reads. */
const REST_OF_MEMORY_STATS = Array.from({ length: 20 }, (_, i) => `memory_stat_${i}` as const);

export const CALLS = {
  Error_Destroy: { index: 0, fields: ['error'] },
  Error_Message: { index: 1, fields: ['error', 'message', 'message_size'] },
  Error_GetCode: { index: 2, fields: ['error', 'code'] },
  Plugin_Initialize: { index: 3, fields: [] },
  Event_Destroy: { index: 5, fields: ['event'] },
  Event_Await: { index: 8, fields: ['event'] },
  Client_Create: {
    index: 10,
    fields: [
      ...['create_options', 'num_options', 'kv_get', 'kv_get_arg', 'kv_put', 'kv_put_arg', 'client'],
      ...['kv_try_get', 'kv_try_get_arg'],
    ],
  },
  Client_Destroy: { index: 11, fields: ['client'] },
  Client_PlatformName: { index: 12, fields: ['client', 'name', 'name_size'] },
  Client_PlatformVersion: { index: 14, fields: ['client', 'version', 'version_size'] },
  Client_AddressableDevices: { index: 16, fields: ['client', 'devices', 'num_devices'] },
  Client_Compile: {
    index: 20,
    fields: ['client', 'program', 'compile_options', 'compile_options_size', 'executable'],
  },
  Client_BufferFromHostBuffer: {
    index: 22,
    fields: [
      ...['client', 'data', 'type', 'dims', 'num_dims', 'byte_strides', 'num_byte_strides'],
      ...['host_buffer_semantics', 'device', 'memory', 'device_layout', 'done_with_host_buffer', 'buffer'],
    ],
  },
  DeviceDescription_Id: { index: 23, fields: ['device_description', 'id'] },
  DeviceDescription_Kind: { index: 26, fields: ['device_description', 'kind', 'kind_size'] },
  Device_GetDescription: { index: 29, fields: ['device', 'device_description'] },
  Device_MemoryStats: {
    index: 34,
    fields: [
      'device',
      'bytes_in_use',
      'peak_bytes_in_use',
      'peak_bytes_in_use_is_set',
      ...REST_OF_MEMORY_STATS,
    ],
  },
  Executable_Destroy: { index: 40, fields: ['executable'] },
  Executable_NumOutputs: { index: 44, fields: ['executable', 'num_outputs'] },
  Executable_Serialize: {
    index: 49,
    fields: ['executable', 'bytes', 'bytes_size', 'serialized', 'deleter'],
  },
  LoadedExecutable_Destroy: { index: 50, fields: ['executable'] },
  LoadedExecutable_GetExecutable: { index: 51, fields: ['loaded_executable', 'executable'] },
  LoadedExecutable_Execute: {
    index: 55,
    fields: [
      ...['executable', 'options', 'argument_lists', 'num_devices', 'num_args', 'output_lists'],
      ...['device_complete_events', 'execute_device'],
    ],
  },
  Executable_DeserializeAndLoad: {
    index: 56,
    fields: ['client', 'serialized', 'serialized_size', 'loaded_executable', 'options', 'options_size'],
  },
  Buffer_Destroy: { index: 58, fields: ['buffer'] },
  Buffer_IsDeleted: { index: 68, fields: ['buffer', 'is_deleted'] },
  Buffer_ToHostBuffer: { index: 70, fields: ['src', 'host_layout', 'dst', 'dst_size', 'event'] },
  TopologyDescription_Create: {
    index: 82,
    fields: ['name', 'name_size', 'create_options', 'num_options', 'topology'],
  },
  TopologyDescription_Destroy: { index: 83, fields: ['topology'] },
  Compile: {
    index: 89,
    fields: ['topology', 'program', 'compile_options', 'compile_options_size', 'client', 'executable'],
  },
} as const satisfies Readonly<Record<string, Call>>;

export type CallName = keyof typeof CALLS;
type Field<Name extends CallName> = (typeof CALLS)[Name]['fields'][number];

/** What a field is given: a number, a pointer, or memory, whose address it gets. Without, it is 0. */
export type Given<Name extends CallName> = Partial<
  Readonly<Record<Field<Name>, bigint | number | ArrayBufferView>>
>;
/** All fields after a call. */
export type Answer<Name extends CallName> = Readonly<Record<Field<Name>, bigint>>;

/** Words of a struct that other structs point to: its size, no extensions, and its fields. */
export function struct(...fields: readonly (bigint | number)[]): BigUint64Array {
  const words = BigUint64Array.from([0n, 0n, ...fields.map(BigInt)]);
  words[0] = BigInt(words.byteLength);
  return words;
}
