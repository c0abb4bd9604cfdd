/** 16-bit floating-point numbers -> float32, which holds each of them exactly. */

/** The values of IEEE half-precision or bfloat16 bit patterns. */
export function floatsOfHalf(dtype: 'F16' | 'BF16', bits: Uint16Array): Float32Array {
  const patterns = Uint32Array.from(bits, dtype === 'F16' ? halfPattern : (pattern) => pattern << 16);
  return new Float32Array(patterns.buffer);
}

/** The float32 pattern of a half-precision one. */
function halfPattern(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Subnormal there, normal here: the leading one moves to the hidden place.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | ((fraction << (13 + shift)) & 0x7fffff);
}
