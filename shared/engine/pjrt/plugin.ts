/** A PJRT plugin: XLA, or another compiler, for one kind of device, as a library with one table of functions. */
import { statSync } from 'node:fs';

import { DiffusionError, shortened } from '../../foundation/index.js';
import type { Reason } from '../../foundation/index.js';
import koffi, { loadLibrary } from '../koffi.js';
import { CALLS } from './calls.js';
import type { Answer, CallName, Given } from './calls.js';

export interface Plugin {
  readonly file: string;
  /** Differs wherever the plugin does. */
  readonly identity: string;
  /** Of the API. */
  readonly version: string;
  /** The file's size. */
  readonly bytes: number;
  /** Calls a function on this thread. @throws DiffusionError as `failure`. */
  call<Name extends CallName>(name: Name, given: Given<Name>): Answer<Name>;
  /**
   * Calls a function on another thread; the memory that is given must stay as it is until then.
   * @param pointedTo What the memory that is given points to in turn: an address alone doesn't keep an array alive.
   * @throws as `call`.
   */
  callOffThread<Name extends CallName>(
    name: Name,
    given: Given<Name>,
    pointedTo?: readonly object[],
  ): Promise<Answer<Name>>;
  /** Waits for an event, and destroys it. @throws as `call`, where what it stands for has failed. */
  settled(event: bigint): Promise<void>;
}

/** The version whose structs `calls.ts` has. A later minor version only adds to them. */
const API_VERSION = { major: 0, leastMinor: 90 };
/** Where the table of functions begins: after its size, its extensions, and the version (a struct of three words). */
const FIRST_FUNCTION = 5;
const VERSION_AT = 4;
const FUNCTIONS = 1 + Math.max(...Object.values(CALLS).map(({ index }) => index));
/** Zeros behind each struct, for the fields of later versions: a plugin refuses structs that are shorter than its own. */
const SPARE_WORDS = 16;

/** The functions without a result; all others give an error, or null. */
const GIVE_NOTHING = new Set<CallName>(['Error_Destroy', 'Error_Message']);

const RESOURCE_EXHAUSTED = 8;
const MAX_MESSAGE = 2000;

type Function = ((args: BigUint64Array) => bigint | null) & {
  async(args: BigUint64Array, done: (error: Error | null, result: bigint | null) => void): void;
};

const loaded = new Map<string, Plugin>();
const underWay = new Set<object>();
let prototype: ReturnType<typeof koffi.proto> | undefined;

/**
 * The plugin in a file, loaded and initialised once a process.
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) where the file is missing, is no plugin, or has another version
 * of the API.
 */
export function loadPlugin(file: string): Plugin {
  const known = loaded.get(file);
  if (known !== undefined) return known;
  const plugin = load(file);
  plugin.call('Plugin_Initialize', {});
  loaded.set(file, plugin);
  return plugin;
}

function load(file: string): Plugin {
  const table = apiOf(file);
  const [size = 0n] = words(table, 1);
  const [major, minor] = new Int32Array(koffi.view(table + 8n * BigInt(VERSION_AT), 8));
  checkVersion(file, major ?? -1, minor ?? -1);
  const pointers = words(table + 8n * BigInt(FIRST_FUNCTION), FUNCTIONS);
  prototype ??= koffi.proto('void *PjrtFunction(void *args)');
  const functions = new Map<CallName, Function>();
  for (const [name, { index }] of Object.entries(CALLS)) {
    const pointer = pointers[index] ?? 0n;
    const isThere = BigInt(8 * (FIRST_FUNCTION + index)) < size && pointer !== 0n;
    if (isThere) functions.set(name as CallName, koffi.decode(pointer, prototype) as Function);
  }

  function found(name: CallName): Function {
    const pjrtFunction = functions.get(name);
    if (pjrtFunction === undefined)
      throw new DiffusionError('ENGINE_FAILED', `the plugin ${file} lacks PJRT_${name}`);
    return pjrtFunction;
  }

  function call<Name extends CallName>(name: Name, given: Given<Name>): Answer<Name> {
    const args = structOf(name, given);
    const error = found(name)(args);
    if (!GIVE_NOTHING.has(name)) check(name, error);
    return answerOf(name, args);
  }

  async function callOffThread<Name extends CallName>(
    name: Name,
    given: Given<Name>,
    pointedTo: readonly object[] = [],
  ): Promise<Answer<Name>> {
    const args = structOf(name, given);
    const { async } = found(name);
    // The struct has addresses only.
    const kept = [given, pointedTo];
    underWay.add(kept);
    try {
      const error = await new Promise<bigint | null>((resolve, reject) => {
        async(args, (failed, result) => {
          if (failed === null) resolve(result);
          else reject(failed);
        });
      });
      check(name, error);
    } finally {
      underWay.delete(kept);
    }
    return answerOf(name, args);
  }

  /** Destroys an error, and throws it as ours. */
  function check(name: CallName, error: bigint | null): void {
    if (!error) return;
    const { message, message_size: length } = call('Error_Message', { error });
    const { code } = call('Error_GetCode', { error });
    const text = textAt(message, length);
    call('Error_Destroy', { error });
    throw failure(name, Number(code), text);
  }

  async function settled(event: bigint): Promise<void> {
    try {
      await callOffThread('Event_Await', { event });
    } finally {
      call('Event_Destroy', { event });
    }
  }

  const { size: bytes, mtimeMs } = statSync(file);
  const version = `${String(major)}.${String(minor)}`;
  const identity = `${file} ${bytes} ${mtimeMs} ${version}`;
  return { file, identity, version, bytes, call, callOffThread, settled };
}

/** A failed call as an error of ours: out of memory apart from everything else. */
export function failure(name: string, code: number, text: string): DiffusionError {
  const reason: Reason = code === RESOURCE_EXHAUSTED ? 'ENGINE_OUT_OF_MEMORY' : 'ENGINE_FAILED';
  const doing = DOING[name] ?? 'computing';
  const what = reason === 'ENGINE_FAILED' ? 'the engine failed' : 'out of device memory';
  return new DiffusionError(reason, `${what} while ${doing}: ${shortened(text, MAX_MESSAGE)}`, {
    metadata: { pjrtCode: String(code) },
  });
}

const DOING: Readonly<Record<string, string>> = {
  Plugin_Initialize: 'starting the plugin',
  Client_Create: 'starting the device',
  Client_Compile: 'compiling a program',
  Compile: 'compiling a program',
  Client_BufferFromHostBuffer: 'copying to the device',
  Buffer_ToHostBuffer: 'copying from the device',
  LoadedExecutable_Execute: 'running a program',
};

/** Text in a plugin's memory, copied. */
export function textAt(pointer: bigint, length: bigint): string {
  return Buffer.from(bytesAt(pointer, length)).toString('utf8');
}

/** Bytes in a plugin's memory, copied. */
export function bytesAt(pointer: bigint, length: bigint): Uint8Array {
  return length === 0n ? new Uint8Array() : new Uint8Array(koffi.view(pointer, Number(length))).slice();
}

/** Words in a plugin's memory, copied. */
export function words(pointer: bigint, count: number): BigUint64Array {
  return new BigUint64Array(bytesAt(pointer, BigInt(8 * count)).buffer);
}

/** The address of memory of ours, which must live as long as it is used. */
export function addressOf(memory: ArrayBufferView): bigint {
  return koffi.address(memory);
}

/** Calls a function that takes one pointer and gives nothing. */
export function callPointer(pointer: bigint, argument: bigint): void {
  prototype ??= koffi.proto('void *PjrtFunction(void *args)');
  koffi.call(pointer, prototype, argument);
}

function structOf(name: CallName, given: Readonly<Record<string, unknown>>): BigUint64Array {
  const { fields } = CALLS[name];
  const args = new BigUint64Array(2 + fields.length + SPARE_WORDS);
  args[0] = BigInt(args.byteLength);
  for (const [i, field] of fields.entries()) {
    const value = given[field] as bigint | number | ArrayBufferView | undefined;
    if (value === undefined) continue;
    args[2 + i] = typeof value === 'object' ? addressOf(value) : BigInt(value);
  }
  return args;
}

function answerOf<Name extends CallName>(name: Name, args: BigUint64Array): Answer<Name> {
  return Object.fromEntries(CALLS[name].fields.map((field, i) => [field, args[2 + i] ?? 0n])) as Answer<Name>;
}

function apiOf(file: string): bigint {
  try {
    const library = loadLibrary(file);
    const table = library.func('void *GetPjrtApi()')() as bigint | null;
    if (!table) throw new Error('it gave no table of functions');
    return table;
  } catch (cause) {
    const text = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new DiffusionError('ENGINE_START', `the PJRT plugin ${file} did not load (${text.trim()})`, {
      cause,
      metadata: { remedy: 'npm run setup -- --device cpu-pjrt, or give the path of a plugin' },
    });
  }
}

/** @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) for another version than `calls.ts` was written for. */
export function checkVersion(file: string, major: number, minor: number): void {
  const wanted = API_VERSION;
  if (major === wanted.major && minor >= wanted.leastMinor) return;
  throw new DiffusionError(
    'ENGINE_START',
    `the PJRT plugin ${file} has version ${major}.${minor} of the API; wanted ${wanted.major}.${wanted.leastMinor} or a later ${wanted.major}.x`,
    { metadata: { remedy: 'use a plugin of another release' } },
  );
}
