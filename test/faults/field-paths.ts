/** The fields of every method's request, from the descriptors, and requests with any bytes in one of them. */

import {
  createFileRegistry,
  ScalarType,
  type DescField,
  type DescMessage,
  type DescMethod,
} from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import { descriptors } from '../../shared/contract/index.js';

const MAX_DEPTH = 6;

/** A field that holds text or bytes: the numbers of the fields that lead to it, and its path in words. */
export interface FieldPath {
  readonly numbers: readonly number[];
  readonly path: string;
}

export interface Method {
  readonly name: string;
  /** As HTTP/2 has it: `/package.Service/Method`. */
  readonly path: string;
  readonly kind: DescMethod['methodKind'];
  readonly fields: readonly FieldPath[];
}

/** All methods of a service. */
export function methodsOf(service: string): Method[] {
  const registry = createFileRegistry(descriptors());
  const found = registry.getService(service);
  if (found === undefined) throw new Error(`there is no service ${service}`);
  return found.methods.map(({ name, methodKind, input }) => ({
    name,
    path: `/${service}/${name}`,
    kind: methodKind,
    fields: textFields(input),
  }));
}

const reflectionField = (path: string, ...numbers: number[]): FieldPath => ({ path, numbers });

/** Of the reflection service, whose descriptors aren't among ours. */
export const REFLECTION: Method = {
  name: 'ServerReflectionInfo',
  path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  kind: 'bidi_streaming',
  fields: [
    reflectionField('host', 1),
    reflectionField('file_by_filename', 3),
    reflectionField('file_containing_symbol', 4),
    reflectionField('file_containing_extension.containing_type', 5, 1),
    reflectionField('all_extension_numbers_of_type', 6),
    reflectionField('list_services', 7),
  ],
};

/** The text and bytes fields of a message, however deep; recursive messages end at a depth. */
function textFields(message: DescMessage, depth = 0): FieldPath[] {
  if (depth === MAX_DEPTH) return [];
  return message.fields.flatMap((field) => {
    const child = messageOf(field);
    if (child !== undefined) {
      return textFields(child, depth + 1).map(({ numbers, path }) => ({
        numbers: [field.number, ...numbers],
        path: `${field.name}.${path}`,
      }));
    }
    return isText(field) ? [{ numbers: [field.number], path: field.name }] : [];
  });
}

/**
 * A message whose field of a path is `value`. Behind another message's bytes it changes that field alone, since
 * protobuf merges what stands twice.
 */
export function withField({ numbers }: FieldPath, value: Uint8Array): Uint8Array {
  return numbers.reduceRight<Uint8Array>(
    (inner, number) => new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(inner).finish(),
    value,
  );
}

function messageOf(field: DescField): DescMessage | undefined {
  if (field.fieldKind === 'message') return field.message;
  return field.fieldKind === 'list' && field.listKind === 'message' ? field.message : undefined;
}

function isText(field: DescField): boolean {
  const scalar =
    field.fieldKind === 'scalar' || (field.fieldKind === 'list' && field.listKind === 'scalar')
      ? field.scalar
      : undefined;
  return scalar === ScalarType.STRING || scalar === ScalarType.BYTES;
}
