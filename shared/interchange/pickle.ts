/** Pickles as torch.save writes them, read as plain data: nothing is imported, looked up or run. */

import { DiffusionError, describeValue, isInteger } from '../foundation/index.js';

/** A name that a pickle refers to; only a name. */
export class PickleGlobal {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** What a pickle holds: tuples and lists are arrays, dictionaries are maps, the rest is the caller's. */
export type PickleValue = unknown;

/** What the names in a pickle stand for. */
export interface PickleMeanings {
  /** Names that a pickle may call, as `module.name`, and what such a call gives. */
  readonly calls: Readonly<Record<string, (args: readonly PickleValue[]) => PickleValue>>;
  /** Names that it may only mention. */
  readonly names: ReadonlySet<string>;
  /** What stands for a persistent id. */
  readonly persistent: (id: PickleValue) => PickleValue;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads a pickle of protocol 2: numbers, texts, tuples, lists, dictionaries, and the names and calls given.
 *
 * Time and memory are proportional to the bytes: no value is copied, and none is walked through.
 *
 * @throws DATA_LOSS (reason PICKLE_INVALID) at any other opcode or name, naming it and where it stands; whatever
 * `meanings` throw.
 * Source: CPython's Lib/pickletools.py.
 */
export function unpickle(bytes: Uint8Array, meanings: PickleMeanings): PickleValue {
  const { value, end } = unpickleFrom(bytes, 0, meanings);
  if (end === bytes.length) return value;
  throw new DiffusionError(
    'PICKLE_INVALID',
    `pickle, offset ${end}: wanted nothing after it; got more bytes`,
  );
}

/**
 * Reads one of several pickles that follow one another.
 * @returns its value, and where the next one begins.
 * @throws as `unpickle`.
 */
export function unpickleFrom(
  bytes: Uint8Array,
  start: number,
  meanings: PickleMeanings,
): { readonly value: PickleValue; readonly end: number } {
  const unpickler = new Unpickler(bytes, start, meanings);
  return { value: unpickler.run(), end: unpickler.position };
}

class Unpickler {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #meanings: PickleMeanings;
  readonly #stack: PickleValue[] = [];
  /** The height of the stack at each open mark. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #position: number;
  /** Of the opcode that is being carried out. */
  #at = 0;

  constructor(bytes: Uint8Array, start: number, meanings: PickleMeanings) {
    this.#bytes = bytes;
    this.#position = start;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#meanings = meanings;
  }

  get position(): number {
    return this.#position;
  }

  run(): PickleValue {
    for (;;) {
      this.#at = this.#position;
      const opcode = this.uint8();
      if (opcode === STOP) return this.#result();
      else if (opcode === MARK) this.#marks.push(this.#stack.length);
      else if (opcode === PROTO) this.#checkProtocol(this.uint8());
      else this.#stack.push(this.#pushOf(opcode)(this));
    }
  }

  pop(): PickleValue {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.#fault('a value on the stack', 'none');
    return this.#stack.pop();
  }

  popMany(count: number): PickleValue[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  popToMark(): PickleValue[] {
    const height = this.#marks.pop();
    if (height === undefined) throw this.#fault('a mark on the stack', 'none');
    return this.#stack.splice(height);
  }

  uint8(): number {
    return this.#take(1)[0] ?? 0;
  }

  uint16(): number {
    return this.#view.getUint16(this.#skip(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#skip(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#skip(4), true);
  }

  float64(): number {
    return this.#view.getFloat64(this.#skip(8), false);
  }

  /** Two's complement of up to eight bytes. */
  long(): number {
    const bytes = this.#take(this.uint8());
    const negative = ((bytes.at(-1) ?? 0) & 0x80) !== 0;
    const value = Number(
      BigInt.asIntN(
        64,
        bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), negative ? -1n : 0n),
      ),
    );
    if (bytes.length > 8 || !isInteger(value, Number.MIN_SAFE_INTEGER))
      throw this.#fault('an integer of at most 53 bits', `${bytes.length} bytes`);
    return value;
  }

  text(): string {
    const bytes = this.#take(this.uint32());
    try {
      return utf8.decode(bytes);
    } catch {
      throw this.#fault('text in UTF-8', 'other bytes');
    }
  }

  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#position);
    if (end === -1) throw this.#fault('a line that ends', 'the end of the pickle');
    const line = Buffer.from(this.#take(end - this.#position)).toString('latin1');
    this.#skip(1);
    return line;
  }

  global(): PickleGlobal {
    const name = `${this.line()}.${this.line()}`;
    const { calls, names } = this.#meanings;
    if (Object.hasOwn(calls, name) || names.has(name)) return new PickleGlobal(name);
    throw this.#fault('only names that a file of tensors needs', name);
  }

  call(): PickleValue {
    const [called, args] = this.popMany(2);
    const { calls } = this.#meanings;
    const name = called instanceof PickleGlobal ? called.name : '';
    const meaning = Object.hasOwn(calls, name) ? calls[name] : undefined;
    if (meaning === undefined || !Array.isArray(args))
      throw this.#fault('a call of a named function', called);
    return meaning(args);
  }

  persistent(): PickleValue {
    return this.#meanings.persistent(this.pop());
  }

  remember(key: number): PickleValue {
    const value = this.pop();
    this.#memo.set(key, value);
    return value;
  }

  recall(key: number): PickleValue {
    if (!this.#memo.has(key)) throw this.#fault('a memo entry that exists', `the empty memo entry ${key}`);
    return this.#memo.get(key);
  }

  /** Sets keys of the dictionary on top; `items` are keys and values in turns. */
  setItems(items: readonly PickleValue[]): PickleValue {
    const target = this.pop();
    if (!(target instanceof Map) || items.length % 2 !== 0)
      throw this.#fault('a dictionary, keys and values', 'another value');
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      if (typeof key !== 'string' && typeof key !== 'number')
        throw this.#fault('a key that is text or a number', 'another');
      if (target.has(key)) throw this.#fault('different keys', key);
      target.set(key, items[i + 1]);
    }
    return target;
  }

  append(items: readonly PickleValue[]): PickleValue {
    const target = this.pop();
    if (!Array.isArray(target)) throw this.#fault('a list', 'another value');
    for (const item of items) target.push(item);
    return target;
  }

  /** Attributes of an OrderedDict, such as a state_dict's versions: nothing that we need. */
  build(): PickleValue {
    const [target, state] = this.popMany(2);
    if (!(target instanceof Map && state instanceof Map))
      throw this.#fault("a dictionary's attributes", 'another value');
    return target;
  }

  #fault(wanted: string, got: unknown): DiffusionError {
    const shown = got instanceof PickleGlobal ? got.name : got;
    const scalar = typeof shown === 'object' ? 'a structure' : shown;
    const text = `pickle, offset ${this.#at}: wanted ${wanted}; got ${describeValue(scalar)}`;
    return new DiffusionError('PICKLE_INVALID', text);
  }

  #pushOf(opcode: number): (machine: Unpickler) => PickleValue {
    const push = PUSHES[opcode];
    if (push !== undefined) return push;
    throw this.#fault('an opcode that torch.save writes for tensors', `0x${opcode.toString(16)}`);
  }

  #checkProtocol(protocol: number): void {
    if (protocol !== PROTOCOL) throw this.#fault(`protocol ${PROTOCOL}, which torch.save writes`, protocol);
  }

  #result(): PickleValue {
    const [value] = this.#stack;
    if (this.#stack.length === 1 && this.#marks.length === 0) return value;
    throw this.#fault('one value', `${this.#stack.length} values`);
  }

  #take(count: number): Uint8Array {
    const start = this.#skip(count);
    return this.#bytes.subarray(start, start + count);
  }

  #skip(count: number): number {
    const start = this.#position;
    if (start + count > this.#bytes.length) throw this.#fault(`${count} more bytes`, 'the end of the pickle');
    this.#position += count;
    return start;
  }
}

const STOP = 0x2e;
const MARK = 0x28;
const PROTO = 0x80;
const PROTOCOL = 2;

/** What each other opcode, by its byte, puts on the stack. Names as in pickletools.py. */
const PUSHES: Readonly<Record<number, (machine: Unpickler) => PickleValue>> = {
  // NONE, NEWTRUE, NEWFALSE, BININT, BININT1, BININT2, LONG1, BINFLOAT, BINUNICODE
  0x4e: () => null,
  0x88: () => true,
  0x89: () => false,
  0x4a: (machine) => machine.int32(),
  0x4b: (machine) => machine.uint8(),
  0x4d: (machine) => machine.uint16(),
  0x8a: (machine) => machine.long(),
  0x47: (machine) => machine.float64(),
  0x58: (machine) => machine.text(),
  // EMPTY_TUPLE, TUPLE, TUPLE1, TUPLE2, TUPLE3
  0x29: () => [],
  0x74: (machine) => machine.popToMark(),
  0x85: (machine) => machine.popMany(1),
  0x86: (machine) => machine.popMany(2),
  0x87: (machine) => machine.popMany(3),
  // EMPTY_LIST, APPEND, APPENDS
  0x5d: () => [],
  0x61: (machine) => machine.append(machine.popMany(1)),
  0x65: (machine) => machine.append(machine.popToMark()),
  // EMPTY_DICT, SETITEM, SETITEMS
  0x7d: () => new Map(),
  0x73: (machine) => machine.setItems(machine.popMany(2)),
  0x75: (machine) => machine.setItems(machine.popToMark()),
  // BINGET, LONG_BINGET, BINPUT, LONG_BINPUT
  0x68: (machine) => machine.recall(machine.uint8()),
  0x6a: (machine) => machine.recall(machine.uint32()),
  0x71: (machine) => machine.remember(machine.uint8()),
  0x72: (machine) => machine.remember(machine.uint32()),
  // GLOBAL, REDUCE, BUILD, BINPERSID
  0x63: (machine) => machine.global(),
  0x52: (machine) => machine.call(),
  0x62: (machine) => machine.build(),
  0x51: (machine) => machine.persistent(),
};
