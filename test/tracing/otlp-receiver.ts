/** A receiver of traces by OTLP over HTTP (protobuf), as a collector would be. */

import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { ExecutionContext } from 'ava';

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for none. */
  readonly parentSpanId: string;
  readonly name: string;
  /** As OTLP numbers it: 1 for internal, 2 for server. */
  readonly kind: number;
  /** Nanoseconds since the epoch. */
  readonly began: bigint;
  readonly ended: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** As OTLP numbers it: 2 for an error. */
  readonly status: number;
  /** Of the service that sent it. */
  readonly resource: Readonly<Record<string, unknown>>;
}

export interface OtlpReceiver {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly endpoint: string;
  readonly spans: readonly ReceivedSpan[];
  readonly headers: readonly IncomingHttpHeaders[];
}

/** Runs until the test ends. */
export async function otlpReceiver(t: ExecutionContext): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      headers.push(request.headers);
      if (request.url === '/v1/traces') spans.push(...spansOf(Buffer.concat(chunks)));
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, headers };
}

type Value = bigint | number | Uint8Array;
type Fields = ReadonlyMap<number, readonly Value[]>;

/** A message's values by field number, whatever they are. */
function fieldsOf(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, Value[]>();
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    const read: Partial<Record<WireType, () => Value>> = {
      [WireType.Varint]: () => BigInt(reader.int64()),
      [WireType.Bit64]: () => BigInt(reader.fixed64()),
      [WireType.Bit32]: () => reader.fixed32(),
      [WireType.LengthDelimited]: () => reader.bytes(),
    };
    const value = read[wire]?.();
    if (value === undefined) throw new Error(`no field of OTLP has the wire type ${wire}`);
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}

const bytesOf = (fields: Fields, of: number): Uint8Array[] =>
  (fields.get(of) ?? []).filter((value) => value instanceof Uint8Array);
const first = (fields: Fields, of: number): Uint8Array => bytesOf(fields, of)[0] ?? new Uint8Array();
const text = (fields: Fields, of: number): string => Buffer.from(first(fields, of)).toString();
const hex = (fields: Fields, of: number): string => Buffer.from(first(fields, of)).toString('hex');
const number = (fields: Fields, of: number): bigint => {
  const value = fields.get(of)?.[0];
  return typeof value === 'bigint' ? value : 0n;
};

function spansOf(request: Uint8Array): ReceivedSpan[] {
  return bytesOf(fieldsOf(request), 1).flatMap((ofResource) => {
    const resourceSpans = fieldsOf(ofResource);
    const resource = attributesOf(fieldsOf(first(resourceSpans, 1)), 1);
    return bytesOf(resourceSpans, 2).flatMap((ofScope) =>
      bytesOf(fieldsOf(ofScope), 2).map((bytes) => {
        const span = fieldsOf(bytes);
        return {
          ...{ traceId: hex(span, 1), spanId: hex(span, 2), parentSpanId: hex(span, 4), name: text(span, 5) },
          ...{ kind: Number(number(span, 6)), began: number(span, 7), ended: number(span, 8) },
          ...{ attributes: attributesOf(span, 9), resource },
          status: Number(number(fieldsOf(first(span, 15)), 3)),
        };
      }),
    );
  });
}

function attributesOf(fields: Fields, of: number): Record<string, unknown> {
  return Object.fromEntries(
    bytesOf(fields, of).map((bytes) => {
      const pair = fieldsOf(bytes);
      return [text(pair, 1), valueOf(fieldsOf(first(pair, 2)))];
    }),
  );
}

function valueOf(value: Fields): unknown {
  if (value.has(1)) return text(value, 1);
  if (value.has(2)) return number(value, 2) === 1n;
  if (value.has(3)) return Number(number(value, 3));
  const bits = number(value, 4);
  return new Float64Array(new BigUint64Array([BigInt.asUintN(64, bits)]).buffer)[0];
}
