/** A session's variables that follow from others: one for each computation, whichever functions read it. */
import { createBuilder } from './builder.js';
import { checkGraph } from './check.js';
import { storeVariable, variableHandle } from './function-graph.js';
import { parseRef, withPrefix } from './graph.js';
import type { Hoisted } from './hoisting.js';
import { withoutUnused } from './passes.js';
import type { Session } from './session.js';

export interface DerivedVariables {
  /** Puts into the session what isn't there yet. */
  provide(hoisted: Pick<Hoisted, 'source' | 'derivations'>): void;
  /** To be called when what they follow from has changed. */
  outdate(): void;
  /** Computes those that are new or out of date. */
  refresh(): Promise<void>;
}

export function derivedVariables(session: Pick<Session, 'extend' | 'prepare'>): DerivedVariables {
  /** The nodes that compute and store, by variable. */
  const stores = new Map<string, string>();
  const outdated = new Set<string>();

  function provide({ source, derivations }: Pick<Hoisted, 'source' | 'derivations'>): void {
    const added = derivations.filter(({ name }) => !stores.has(name));
    if (added.length === 0) return;
    // Functions bring the same nodes; each time they need names of their own.
    const prefix = `derived/${stores.size}/`;
    const needed = withoutUnused(source, new Set(added.map(({ value }) => parseRef(value.ref).node)));
    const builder = createBuilder(`${prefix}store/`);
    const made = added.map(({ name, value }) => {
      const handle = variableHandle(builder, { name, shape: value.shape }, value.dtype);
      return [
        name,
        storeVariable(builder, name, [handle, { ...value, ref: `${prefix}${value.ref}` }]),
      ] as const;
    });
    const graph = new Map([...withPrefix(needed, prefix), ...builder.graph]);
    checkGraph(graph);
    session.extend(graph);
    for (const [name, store] of made) {
      stores.set(name, store);
      outdated.add(name);
    }
  }

  async function refresh(): Promise<void> {
    if (outdated.size === 0) return;
    const names = [...outdated];
    await session.prepare(
      [],
      [],
      names.map((name) => stores.get(name) ?? ''),
    )([]);
    for (const name of names) outdated.delete(name);
  }

  function outdate(): void {
    for (const name of stores.keys()) outdated.add(name);
  }

  return { provide, outdate, refresh };
}
