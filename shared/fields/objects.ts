export type UnknownObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is UnknownObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value; an empty object where it is none. */
export function asObject(value: unknown): UnknownObject {
  return isObject(value) ? value : {};
}
