/** Indexing that never yields undefined. */

/** The element at `index`. @throws RangeError where there is none. */
export function at<T>(values: ArrayLike<T>, index: number): T {
  const value = values[index];
  if (value === undefined) throw new RangeError(`no element ${index} among ${values.length}`);
  return value;
}
