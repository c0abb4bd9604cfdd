/** 0, 1, 2 ... below `count`. */
export function* indicesUpTo(count: number): Generator<number, void, undefined> {
  for (let index = 0; index < count; index++) yield index;
}
