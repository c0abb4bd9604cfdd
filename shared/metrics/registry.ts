/** The metrics of one process, and their text for a reader. The only file that knows how they are kept. */

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

import {
  gauge,
  OTHER,
  type CounterRow,
  type GaugeRow,
  type HistogramRow,
  type Labels,
  type MetricTable,
} from './rows.js';

type LabelValues<L extends Labels> = { readonly [Name in keyof L]: string };
type HasNone<L extends Labels> = [keyof L] extends [never] ? true : false;
/** The labels of a value, left out where the metric has none. */
type Given<L extends Labels> = HasNone<L> extends true ? [] : [labels: LabelValues<L>];

export interface CounterHandle<L extends Labels> {
  add(amount: number, ...labels: Given<L>): void;
}

export interface HistogramHandle<L extends Labels> {
  observe(value: number, ...labels: Given<L>): void;
}

/** What is read: a number, undefined for none, or a number for each set of labels. */
export type Reading<L extends Labels> =
  HasNone<L> extends true ? number | undefined : Iterable<readonly [LabelValues<L>, number]>;

export interface GaugeHandle<L extends Labels> {
  /** Says how it is read. It is read when the metrics are, so that it can't be out of date. */
  read(reading: () => Reading<L>): void;
}

type Handle<R> =
  R extends CounterRow<infer L>
    ? CounterHandle<L>
    : R extends GaugeRow<infer L>
      ? GaugeHandle<L>
      : R extends HistogramRow<infer L>
        ? HistogramHandle<L>
        : never;

export type Handles<T extends MetricTable> = { readonly [Name in keyof T]: Handle<T[Name]> };

export interface MetricRegistry {
  /** Adds a table. @returns what its values are given to. @throws Error where a name is there already. */
  add<T extends MetricTable>(table: T): Handles<T>;
  /** Adds memory, processor time, event-loop delay and garbage collection, as prom-client measures them. */
  addProcess(version: string): void;
  /** In Prometheus's text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

export function metricRegistry(): MetricRegistry {
  const registry = new Registry();

  function add<T extends MetricTable>(table: T): Handles<T> {
    const handles = Object.entries(table).map(([name, row]) => [name, handleOf(row, registry)]);
    return Object.fromEntries(handles) as Handles<T>;
  }

  return {
    add,
    addProcess: (version) => {
      collectDefaultMetrics({ register: registry });
      const labels = { version, node_version: process.version };
      add({ build: buildInfo(labels) }).build.read(() => [[labels, 1]]);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

/** The row of the build that runs. */
export function buildInfo({ version, node_version }: { version: string; node_version: string }) {
  return gauge('ip_diffusion_build_info', 'The build that runs, as labels; always 1.', {
    version: [version],
    node_version: [node_version],
  });
}

type AnyHandle = CounterHandle<Labels> | GaugeHandle<Labels> | HistogramHandle<Labels>;

function handleOf(row: MetricTable[string], registry: Registry): AnyHandle {
  const { name, help } = row;
  const labelNames = Object.keys(row.labels);
  const registers = [registry];
  // Metrics without labels are given none.
  const bounded = (labels: LabelValues<Labels> = {}): Record<string, string> =>
    Object.fromEntries(
      Object.entries(row.labels).map(([label, values]) => {
        const value = labels[label] ?? OTHER;
        return [label, values.includes(value) ? value : OTHER];
      }),
    );
  switch (row.kind) {
    case 'counter': {
      const kept = new Counter({ name, help, labelNames, registers });
      return {
        add: (amount, labels) => {
          kept.inc(bounded(labels), amount);
        },
      };
    }
    case 'histogram': {
      const kept = new Histogram({ name, help, labelNames, registers, buckets: [...row.buckets] });
      return {
        observe: (value, labels) => {
          kept.observe(bounded(labels), value);
        },
      };
    }
    case 'gauge': {
      let read: () => Reading<Labels> | number | undefined = () => undefined;
      new Gauge({
        ...{ name, help, labelNames, registers },
        collect() {
          this.reset();
          // Without labels a reset sets it to 0.
          if (labelNames.length === 0) this.remove();
          const reading = read();
          if (typeof reading === 'number') this.set(reading);
          else for (const [labels, value] of reading ?? []) this.set(bounded(labels), value);
        },
      });
      return {
        read: (reading) => {
          read = reading;
        },
      };
    }
  }
}
