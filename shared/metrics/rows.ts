/** What a metric is: rows of a table, which stands beside what it measures. */

/** The values that each label may have. Any other value is counted as `other`, so that no caller can make a series. */
export type Labels = Readonly<Record<string, readonly string[]>>;

interface Row<L extends Labels> {
  /** In base units (seconds, bytes), which end the name; `_total` ends that of a counter. */
  readonly name: string;
  readonly help: string;
  readonly labels: L;
}

/** Only rises; 0 at the start of the process. */
export interface CounterRow<L extends Labels = Labels> extends Row<L> {
  readonly kind: 'counter';
}

/** What is so at the moment at which it is read. */
export interface GaugeRow<L extends Labels = Labels> extends Row<L> {
  readonly kind: 'gauge';
}

/** How values are distributed, with their number and sum. */
export interface HistogramRow<L extends Labels = Labels> extends Row<L> {
  readonly kind: 'histogram';
  /** Upper ends, rising. */
  readonly buckets: readonly number[];
}

export type MetricRow = CounterRow | GaugeRow | HistogramRow;

/** Metrics by the names that the code has for them. */
export type MetricTable = Readonly<Record<string, MetricRow>>;

const NONE = {} as const satisfies Labels;
type NoLabels = typeof NONE;

/** Stands for a value that a label may not have. */
export const OTHER = 'other';

/** Seconds from a millisecond to a minute. */
export const SHORT_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Seconds from ten milliseconds to an hour. */
export const LONG_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];

export function counter(name: string, help: string): CounterRow<NoLabels>;
export function counter<const L extends Labels>(name: string, help: string, labels: L): CounterRow<L>;
export function counter(name: string, help: string, labels: Labels = NONE): CounterRow {
  return { kind: 'counter', name, help, labels };
}

export function gauge(name: string, help: string): GaugeRow<NoLabels>;
export function gauge<const L extends Labels>(name: string, help: string, labels: L): GaugeRow<L>;
export function gauge(name: string, help: string, labels: Labels = NONE): GaugeRow {
  return { kind: 'gauge', name, help, labels };
}

export function histogram(name: string, help: string, buckets: readonly number[]): HistogramRow<NoLabels>;
export function histogram<const L extends Labels>(
  name: string,
  help: string,
  buckets: readonly number[],
  labels: L,
): HistogramRow<L>;
export function histogram(
  name: string,
  help: string,
  buckets: readonly number[],
  labels: Labels = NONE,
): HistogramRow {
  return { kind: 'histogram', name, help, buckets, labels };
}
