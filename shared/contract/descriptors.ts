/** The contracts' descriptors, health's among them, as protoc made them. */

import { readFileSync } from 'node:fs';

import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema, type FileDescriptorSet } from '@bufbuild/protobuf/wkt';

let read: FileDescriptorSet | undefined;

export function descriptors(): FileDescriptorSet {
  read ??= fromBinary(
    FileDescriptorSetSchema,
    readFileSync(new URL('./generated/descriptors.binpb', import.meta.url)),
  );
  return read;
}
