/** Quantities as people read them. */

/** `850 ms`, `12 s`, `4 min 05 s`, `2 h 10 min`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${twoDigits(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
  return `${Math.floor(minutes / 1440)} days ${Math.round((minutes % 1440) / 60)} h`;
}

/** `512 B`, `1.5 MB`, `12 GB`: powers of 1000. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${units[power] ?? ''}`;
}

/** `3,720`. */
export function formatCount(count: number | bigint): string {
  return count.toLocaleString('en-US');
}

/** Three significant digits, without an exponent where that stays short. */
export function formatNumber(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1000) return formatCount(Math.round(value));
  return size >= 1e-4 ? String(Number(value.toPrecision(3))) : value.toExponential(2);
}

/** A step with leading zeros, so that file names sort: `000100`. */
export function paddedStep(step: number | bigint): string {
  return step.toString().padStart(6, '0');
}

/** Text of fixed columns, every one as wide as its widest cell. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows.reduce<number[]>(
    (widest, row) => row.map((cell, index) => Math.max(widest[index] ?? 0, cell.length)),
    [],
  );
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
