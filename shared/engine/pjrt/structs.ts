/** Structs of PJRT that its functions take by address. */
import { struct } from './calls.js';
import { addressOf } from './plugin.js';

/** A plugin's own options, such as `memory_fraction`. Numbers with a fraction are floats. */
export type ClientOptions = Readonly<Record<string, string | number | boolean | bigint | readonly bigint[]>>;

/** Structs, and the memory that they point to. */
interface Structs {
  readonly words: BigUint64Array;
  readonly memory: readonly object[];
}

/** PJRT_NamedValue_Type. */
const TYPES = { string: 0, int64: 1, int64List: 2, float: 3, bool: 4 } as const;

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
  if (typeof value === 'string') {
    return [TYPES.string, address(Buffer.from(value)), Buffer.byteLength(value)];
  }
  if (typeof value === 'bigint') return [TYPES.int64, value, 1];
  if (typeof value === 'boolean') return [TYPES.bool, value ? 1n : 0n, 1];
  if (typeof value === 'object') {
    return [TYPES.int64List, address(Buffer.from(BigInt64Array.from(value).buffer)), value.length];
  }
  return [TYPES.float, BigInt(new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0), 1];
}
