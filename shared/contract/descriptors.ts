/** The contracts' descriptors, health's among them, as protoc made them. */

import { readFileSync } from 'node:fs';

import { createFileRegistry, fromBinary, type DescMessage, type FileRegistry } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema, type FileDescriptorSet } from '@bufbuild/protobuf/wkt';

let read: FileDescriptorSet | undefined;

export function descriptors(): FileDescriptorSet {
  read ??= fromBinary(
    FileDescriptorSetSchema,
    readFileSync(new URL('./generated/descriptors.binpb', import.meta.url)),
  );
  return read;
}

let registry: FileRegistry | undefined;

/** @param typeName `package.Message`. @throws Error where the contracts have no such message. */
export function messageDescriptor(typeName: string): DescMessage {
  registry ??= createFileRegistry(descriptors());
  const found = registry.getMessage(typeName);
  if (found === undefined) throw new Error(`the proto files have no message ${typeName}`);
  return found;
}
