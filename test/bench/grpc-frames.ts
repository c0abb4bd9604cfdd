/** gRPC over node:http2, for clients that do what grpc-js's would not. */
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';

const PREFIX_BYTES = 5;

/** A message as a stream carries it. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(PREFIX_BYTES + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** Opens a call; its errors are its own. @param path `/package.Service/Method`. */
export function openCall(session: ClientHttp2Session, path: string): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  return stream.on('error', () => undefined);
}
