/**
 * Values over a stream of bytes between two processes: frames of a bounded length, each the structured clone of one
 * value. Node's own channel (`fork`) is not used, since invalid bytes on it throw where the error can't be caught.
 */

import type { Socket } from 'node:net';
import { DefaultSerializer, deserialize } from 'node:v8';

export interface ChannelOptions {
  /** Of one value, in either direction. Values that wait for a peer that doesn't read have the same limit together. */
  readonly maxBytes: number;
  readonly onValue: (value: unknown) => void;
  /** The peer sent what is no value, or doesn't read; in a sentence without an end. Nothing comes afterwards. */
  readonly onBroken: (why: string) => void;
}

export interface Channel {
  /** Typed arrays travel as they are. One to a peer that is gone is dropped. @throws RangeError past `maxBytes`. */
  send(value: unknown): void;
  /** Nothing more is sent or received. */
  close(): void;
}

/** The length of a frame's value, uint32 little-endian. */
const HEADER_BYTES = 4;

export function openChannel(socket: Socket, { maxBytes, onValue, onBroken }: ChannelOptions): Channel {
  const header = Buffer.alloc(HEADER_BYTES);
  // Of the frame that is being received: its header until that is whole, then a value's bytes.
  let part = header;
  let filled = 0;

  function breakOff(why: string): void {
    if (socket.destroyed) return;
    // First, since a peer that finds the channel closed ends by itself.
    onBroken(why);
    socket.destroy();
  }

  function takeHeader(): void {
    const length = header.readUInt32LE();
    if (length > maxBytes) breakOff(`it sent a frame of ${length} bytes; wanted at most ${maxBytes}`);
    // A buffer of its own: typed arrays of the value are views of it.
    else part = Buffer.allocUnsafeSlow(length);
  }

  function takeValue(): void {
    let value: unknown;
    try {
      value = deserialize(part);
    } catch {
      breakOff(`it sent a frame of ${part.length} bytes that can't be decoded`);
      return;
    }
    part = header;
    onValue(value);
  }

  socket.on('data', (chunk: Buffer) => {
    let read = 0;
    // An empty frame has all its bytes as soon as it has its header.
    while (!socket.destroyed && (read < chunk.length || (part !== header && filled === part.length))) {
      const copied = chunk.copy(part, filled, read);
      read += copied;
      filled += copied;
      if (filled < part.length) continue;
      filled = 0;
      if (part === header) takeHeader();
      else takeValue();
    }
  });
  // A peer that has ended; whoever waits for it learns of its end elsewhere.
  socket.on('error', () => undefined);

  return {
    send(value) {
      if (socket.destroyed || !socket.writable) return;
      const frame = frameOf(value);
      const length = frame.length - HEADER_BYTES;
      if (length > maxBytes) throw new RangeError(`a message of ${length} bytes; wanted at most ${maxBytes}`);
      frame.writeUInt32LE(length);
      if (socket.writableLength > maxBytes) {
        breakOff(`it did not read ${socket.writableLength} bytes that were sent to it`);
        return;
      }
      socket.write(frame);
    },
    close() {
      socket.destroy();
    },
  };
}

/** A value's bytes behind room for its header, in one piece: large arrays are copied once. */
function frameOf(value: unknown): Buffer {
  const serializer = new DefaultSerializer();
  serializer.writeRawBytes(Buffer.alloc(HEADER_BYTES));
  serializer.writeHeader();
  serializer.writeValue(value);
  return serializer.releaseBuffer();
}
