/** What happened in a soak run, as data: everything that its clients and its checks saw, in order. */

/** A message of a watch, as far as a rule needs it. */
export type SeenEvent =
  | { readonly kind: 'snapshot'; readonly checkpointStep: number; readonly truncated: boolean }
  | { readonly kind: 'metrics'; readonly step: number; readonly loss: number; readonly dropped: number }
  | { readonly kind: 'checkpoint'; readonly step: number }
  | { readonly kind: 'state'; readonly state: string; readonly message: string }
  | { readonly kind: 'other'; readonly name: string }
  | {
      readonly kind: 'terminal';
      readonly state: string;
      readonly step: number;
      readonly checkpointStep: number;
    };

export type Happening =
  /** A job exists. Jobs of one recipe name have the same recipe but for the name of their model. */
  | {
      readonly kind: 'job';
      readonly job: string;
      readonly recipe: string;
      readonly requestId: string;
      /** Trained before the first fault: what the others are compared with. */
      readonly straight: boolean;
    }
  /** Somebody asked it to end. */
  | { readonly kind: 'cancelled'; readonly job: string }
  /** From here on a model is being deleted. */
  | { readonly kind: 'deleting'; readonly model: string }
  /** One watch call, and how it ended: a code of gRPC's, OK included. */
  | { readonly kind: 'watch'; readonly watch: number; readonly job: string; readonly after: string }
  | {
      readonly kind: 'message';
      readonly watch: number;
      readonly position: string;
      readonly event: SeenEvent;
    }
  | { readonly kind: 'watch ended'; readonly watch: number; readonly code: string }
  /** The checkpoints of a job as the store had them; what was committed before entry `since` must be there. */
  | {
      readonly kind: 'listed';
      readonly job: string;
      readonly steps: readonly number[];
      readonly since: number;
    }
  /** A checkpoint, each object read against its hash: SHA-256 of all of them, or why it could not be read. */
  | { readonly kind: 'checkpoint'; readonly job: string; readonly step: number; readonly sha256: string }
  | { readonly kind: 'unreadable'; readonly job: string; readonly step: number; readonly problem: string }
  /** A sampled image; `of` names everything that its bytes may depend on. */
  | { readonly kind: 'image'; readonly of: string; readonly sha256: string }
  /** Any call's end; `model` is what it asked for, and `detail` its message where it failed. */
  | {
      readonly kind: 'call';
      readonly method: string;
      readonly model?: string;
      readonly code: string;
      readonly reason?: string;
      readonly detail?: string;
    }
  | { readonly kind: 'fault'; readonly fault: string; readonly detail: string }
  /** A service ended: its exit code or signal. `wanted` is how it should have ended; undefined where it should not. */
  | {
      readonly kind: 'exit';
      readonly service: string;
      readonly how: number | string;
      readonly wanted: number | string | undefined;
    }
  /** After an exchange of certificates: whether a new connection was shown the new one in time. */
  | { readonly kind: 'rotation'; readonly service: string; readonly seen: boolean }
  /** A process that outlived its service. */
  | { readonly kind: 'orphan'; readonly command: string };

export type Entry = Happening & {
  /** Milliseconds since the run began. */
  readonly atMs: number;
};

/** Entries in the order in which they were seen; the index of an entry is its number. */
export type History = readonly Entry[];

export type OfKind<Kind extends Happening['kind']> = Extract<Entry, { readonly kind: Kind }>;

export interface Violation {
  readonly rule: string;
  readonly text: string;
}

/** A rule gives a sentence for each time that it is violated. */
export type Rule = (history: History) => Iterable<string>;

export function ofKind<Kind extends Happening['kind']>(history: History, kind: Kind): OfKind<Kind>[] {
  return history.filter((entry): entry is OfKind<Kind> => entry.kind === kind);
}

export function grouped<T>(items: Iterable<T>, keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
