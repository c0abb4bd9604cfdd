/** The fields of messages by their paths, such as `training.batch_size`, from the descriptors. */

import { createFileRegistry, type DescMessage } from '@bufbuild/protobuf';

import { descriptors } from './descriptors.js';

/** The paths of all fields of a message that are no messages themselves. @param name Such as `diffusion.types.v1.TrainingRecipe`. */
export function leafPaths(name: string): ReadonlySet<string> {
  const message = createFileRegistry(descriptors()).getMessage(name);
  if (message === undefined) throw new Error(`there is no message ${name}`);
  return new Set(leavesOf(message));
}

function leavesOf(message: DescMessage): string[] {
  return message.fields.flatMap((field) =>
    field.fieldKind === 'message'
      ? leavesOf(field.message).map((path) => `${field.name}.${path}`)
      : [field.name],
  );
}
