/** A session with a module's variables, for tests that put graphs of their own into it. */
import { openSession } from '../../../shared/engine/compiled/session.js';
import type { Session } from '../../../shared/engine/compiled/session.js';
import { variableGraph } from '../../../shared/engine/compiled/variable-graph.js';
import type { EngineModule } from '../../../shared/engine/index.js';

export interface ModuleSession {
  readonly session: Session;
  /** Nothing happens for a name that the module lacks. */
  readonly assign: (name: string, values: Float32Array) => Promise<void>;
}

export async function openModuleSession(module: Pick<EngineModule, 'variables'>): Promise<ModuleSession> {
  const session = openSession();
  const { graph, variables, zero, initialise } = variableGraph(module.variables);
  session.extend(graph);
  await session.prepare([zero], [], [initialise])([Float32Array.of(0)]);
  return {
    session,
    assign: async (name, values) => {
      const access = variables.get(name);
      if (access !== undefined) await session.prepare([access.value], [], [access.assign])([values]);
    },
  };
}
