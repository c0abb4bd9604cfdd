/** Takes exact numbers of bytes from a stream of pieces. */

export interface ByteReader {
  /** The next bytes; fewer where the stream ends. In memory of their own. */
  take(length: number): Promise<Uint8Array>;
}

export function byteReader(pieces: AsyncIterable<Uint8Array>): ByteReader {
  const iterator = pieces[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();
  return {
    async take(length) {
      const bytes = new Uint8Array(length);
      for (let filled = 0; filled < length;) {
        if (rest.length === 0) {
          const next = await iterator.next();
          if (next.done === true) return bytes.subarray(0, filled);
          rest = next.value;
          continue;
        }
        const part = rest.subarray(0, length - filled);
        bytes.set(part, filled);
        filled += part.length;
        rest = rest.subarray(part.length);
      }
      return bytes;
    },
  };
}
