/** Whether a path names a field of a method's request: `recipe.dataset.image_size`, `classes[3]`. */

import { createFileRegistry, type DescMessage } from '@bufbuild/protobuf';

import { descriptors } from '../../shared/contract/index.js';

/** @param method `/package.Service/Method`. */
export function isFieldOf(method: string, path: string): boolean {
  const [, service = '', name] = method.split('/');
  const found = createFileRegistry(descriptors()).getService(service);
  const request = found?.methods.find((of) => of.name === name)?.input;
  return request !== undefined && names(request, path.split('.'));
}

function names(message: DescMessage, [first = '', ...rest]: readonly string[]): boolean {
  const [, name, index] = /^([a-z0-9_]+)(\[\d+\])?$/.exec(first) ?? [];
  const field = message.fields.find((of) => of.name === name);
  if (field === undefined) return false;
  if (index !== undefined && field.fieldKind !== 'list') return false;
  if (rest.length === 0) return true;
  if (field.fieldKind === 'message') return names(field.message, rest);
  return field.fieldKind === 'list' && field.listKind === 'message' && index !== undefined
    ? names(field.message, rest)
    : false;
}
