/** What every watcher may rely on: order, announced gaps, one end. */

import { grouped, ofKind, type History, type OfKind, type Rule, type SeenEvent } from './history.js';

interface Watch {
  readonly call: OfKind<'watch'>;
  readonly messages: readonly OfKind<'message'>[];
  /** Undefined where the run ended before it. */
  readonly code: string | undefined;
}

export const WATCH_RULES: Readonly<Record<string, Rule>> = {
  'a watch begins with a snapshot': eachWatch(function* ({ call, messages: [first] }) {
    if (first === undefined) return;
    if (first.event.kind !== 'snapshot') yield `it begins with ${first.event.kind}`;
    else if (!first.event.truncated && first.position !== (call.after === '' ? '0.0' : call.after))
      yield `it was to begin after ${call.after}, and begins after ${first.position}`;
  }),
  'positions rise': eachWatch(function* ({ messages }) {
    for (const [before, message] of pairs(messages)) {
      const wanted = message.event.kind === 'terminal' ? 0 : 1;
      if (compared(message.position, before.position) < wanted)
        yield `${message.position} comes after ${before.position}`;
    }
  }),
  'no gap that is not announced': eachWatch(function* ({ messages }) {
    let missing = 0;
    for (const [before, { position, event }] of pairs(messages)) {
      // The last event is not sent by itself, but as the terminal message.
      if (event.kind === 'terminal') break;
      const [term, number] = numbersOf(position);
      const [lastTerm, lastNumber] = numbersOf(before.position);
      missing += Math.max(0, number - (term === lastTerm ? lastNumber : 0) - 1);
      if (event.kind !== 'metrics') continue;
      if (event.dropped !== missing)
        yield `${missing} events are missing before ${position}, which announces ${event.dropped}`;
      missing = 0;
    }
    if (missing > 0) yield `${missing} events are missing at the end and were never announced`;
  }),
  'steps rise': eachWatch(function* ({ messages }) {
    /** The step before the next one, where it is known. */
    let before: number | undefined;
    for (const { event, position } of messages) {
      if (event.kind === 'state') before = startOf(event);
      if (event.kind !== 'metrics') continue;
      if (before !== undefined && event.step !== before + 1 + event.dropped)
        yield `step ${event.step} at ${position} comes after step ${before}, with ${event.dropped} announced as missing`;
      before = event.step;
    }
  }),
  'exactly one terminal event, as the last one': eachWatch(function* ({ messages, code }) {
    const terminals = messages.filter(({ event }) => event.kind === 'terminal').length;
    if (terminals > 1) yield `${terminals} terminal events`;
    if (terminals === 1 && messages.at(-1)?.event.kind !== 'terminal')
      yield 'something follows the terminal event';
    if (code === 'OK' && terminals === 0) yield 'it ended with OK and without a terminal event';
  }),
  'a position is one event, whoever reads it': perJob(function* (watches) {
    const seen = new Map<string, string>();
    for (const { position, event } of watches.flatMap(({ messages }) => messages)) {
      if (event.kind === 'snapshot') continue;
      const key = `${event.kind === 'terminal' ? 'the end, ' : ''}${position}`;
      const text = textOf(event);
      const first = seen.get(key);
      if (first === undefined) seen.set(key, text);
      else if (first !== text) yield `${key} is ${first}, and is ${text}`;
    }
  }),
};

/** A rule on each watch alone. */
function eachWatch(rule: (watch: Watch) => Iterable<string>): Rule {
  return function* (history) {
    for (const watch of watchesOf(history))
      for (const text of rule(watch)) yield `watch ${watch.call.watch} of ${watch.call.job}: ${text}`;
  };
}

/** A rule on all watches of a job together. */
function perJob(rule: (watches: readonly Watch[]) => Iterable<string>): Rule {
  return function* (history) {
    for (const [job, watches] of grouped(watchesOf(history), ({ call }) => call.job))
      for (const text of rule(watches)) yield `${job}: ${text}`;
  };
}

const found = new WeakMap<History, Watch[]>();

/** Put together once for all rules. */
function watchesOf(history: History): Watch[] {
  const known = found.get(history);
  if (known !== undefined) return known;
  const messages = grouped(ofKind(history, 'message'), ({ watch }) => String(watch));
  const ends = new Map(ofKind(history, 'watch ended').map(({ watch, code }) => [watch, code]));
  const watches = ofKind(history, 'watch').map((call) => ({
    call,
    messages: messages.get(String(call.watch)) ?? [],
    code: ends.get(call.watch),
  }));
  found.set(history, watches);
  return watches;
}

/** Where the training begins that a change of state speaks of; undefined where it does not say. */
function startOf({ state, message }: Extract<SeenEvent, { kind: 'state' }>): number | undefined {
  if (state !== 'RUNNING') return undefined;
  if (message.startsWith('training begins')) return 0;
  const step = /^training resumes after step (\d+)/.exec(message)?.[1];
  return step === undefined ? undefined : Number(step);
}

/** What is the same for all who read an event: how many metrics a reader missed before is not. */
function textOf(event: SeenEvent): string {
  return JSON.stringify(event.kind === 'metrics' ? { ...event, dropped: 0 } : event);
}

function pairs<T>(items: readonly T[]): [T, T][] {
  return items.slice(1).flatMap((item, i) => {
    const before = items[i];
    return before === undefined ? [] : [[before, item]];
  });
}

/** Term and number of a position. */
function numbersOf(position: string): [number, number] {
  const [term = Number.NaN, number = Number.NaN] = position.split('.').map(Number);
  return [term, number];
}

function compared(a: string, b: string): number {
  const [[termA, numberA], [termB, numberB]] = [numbersOf(a), numbersOf(b)];
  return Math.sign(termA - termB || numberA - numberB);
}
