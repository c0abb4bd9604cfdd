/** How far numbers are from each other. */

/** The largest difference, as a share of the largest magnitude of `wanted`; NaN where both are is no difference. */
export function relativeDifference(got: Float32Array, wanted: Float32Array): number {
  if (got.length !== wanted.length) return Infinity;
  const largest = wanted.reduce(
    (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
    0,
  );
  const difference = got.reduce((most, value, i) => {
    const other = wanted[i] ?? NaN;
    return Object.is(value, other)
      ? most
      : Math.max(most, Number.isNaN(value - other) ? Infinity : Math.abs(value - other));
  }, 0);
  return difference === 0 ? 0 : difference / largest;
}
