/** What a run did and found, for people and as JSON. */

import { availableParallelism, cpus, loadavg } from 'node:os';

import { rounded } from '../bench/table.js';
import { grouped, ofKind, type History, type Violation } from './history.js';
import { BOUNDS, isOver, type Slope } from './slopes.js';

export interface Report {
  readonly seed: string;
  readonly minutes: number;
  readonly machine: string;
  readonly jobs: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  readonly calls: Readonly<Record<string, number>>;
  readonly counts: Readonly<Record<string, number>>;
  readonly slopes: readonly Slope[];
  readonly violations: readonly Violation[];
  readonly passed: boolean;
}

export function reportOf(
  history: History,
  seed: bigint,
  slopes: readonly Slope[],
  violations: readonly Violation[],
): Report {
  const faults = ofKind(history, 'fault');
  const checkpoints = ofKind(history, 'checkpoint');
  return {
    seed: String(seed),
    minutes: rounded((history.at(-1)?.atMs ?? 0) / 60_000),
    machine: `${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores, Node ${process.version}; load of the last 15 minutes ${rounded(loadavg()[2] ?? 0)}`,
    jobs: counted(ofKind(history, 'job'), ({ recipe, straight }) => recipe + (straight ? ', straight' : '')),
    faults: counted(faults, ({ fault }) => fault),
    calls: counted(ofKind(history, 'call'), ({ method, code, reason = code }) =>
      code === 'OK' ? `${method}: OK` : `${method}: ${code} (${reason})`,
    ),
    counts: {
      jobs: ofKind(history, 'job').length,
      'jobs cancelled': ofKind(history, 'cancelled').length,
      'watch calls': ofKind(history, 'watch').length,
      'messages of watches': ofKind(history, 'message').length,
      'metrics announced as missing': ofKind(history, 'message').reduce(
        (sum, { event }) => sum + (event.kind === 'metrics' ? event.dropped : 0),
        0,
      ),
      'checkpoints read': checkpoints.length,
      images: ofKind(history, 'image').length,
      'different images': new Set(ofKind(history, 'image').map(({ of }) => of)).size,
      faults: faults.length,
      kills: faults.filter(({ fault }) => fault.endsWith('killed')).length,
      'ends of services': ofKind(history, 'exit').length,
    },
    slopes,
    violations,
    passed: violations.length === 0 && !slopes.some(isOver),
  };
}

function counted<T>(items: Iterable<T>, keyOf: (item: T) => string): Record<string, number> {
  const groups = [...grouped(items, keyOf)].map(([key, group]) => [key, group.length] as const);
  return Object.fromEntries(groups.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const MOST_VIOLATIONS = 40;

export function printReport(report: Report, say: (line: string) => void): void {
  say(`\n${report.minutes} minutes, seed ${report.seed}, on ${report.machine}`);
  for (const part of ['counts', 'jobs', 'faults', 'calls'] as const) {
    say(`\n${part}`);
    for (const [name, count] of Object.entries(report[part])) say(`${String(count).padStart(7)}  ${name}`);
  }
  say('\ngrowth by the minute of services that live');
  for (const slope of report.slopes) {
    const { process: what, quantity, perMinute, error, highest, minutes } = slope;
    const figure = `${rounded(perMinute, 3)} +- ${rounded(error, 3)} (bound ${BOUNDS[quantity]})`;
    say(
      `  ${what}, ${quantity}: ${figure}, at most ${rounded(highest)}, over ${rounded(minutes)} minutes${isOver(slope) ? ': TOO MUCH' : ''}`,
    );
  }
  say(report.violations.length === 0 ? '\nno rule was violated' : '\nviolated:');
  for (const { rule, text } of report.violations.slice(0, MOST_VIOLATIONS)) say(`  ${rule}: ${text}`);
  if (report.violations.length > MOST_VIOLATIONS)
    say(`  and ${report.violations.length - MOST_VIOLATIONS} more`);
}
