/** How a loaded module is called: one call after another, failures as typed errors, nothing after it is disposed of. */
import { DiffusionError } from '../foundation/index.js';
import { engineError } from './native.js';

export interface ModuleCalls {
  /** Runs a call when those before it have settled. @throws DiffusionError, FAILED_PRECONDITION after `dispose`. */
  during<T>(doing: string, action: () => T | Promise<T>): Promise<T>;
  /** The last call. */
  dispose(action: () => void): Promise<void>;
}

export function moduleCalls(): ModuleCalls {
  const oneByOne = queue();
  let disposed = false;

  function during<T>(doing: string, action: () => T | Promise<T>): Promise<T> {
    return oneByOne(() =>
      attempt(doing, () => {
        if (disposed) throw new DiffusionError('MODULE_DISPOSED', 'the module was disposed of');
        return action();
      }),
    );
  }

  return {
    during,
    dispose: (action) =>
      during('disposing of a module', () => {
        disposed = true;
        action();
      }),
  };
}

/** @throws DiffusionError for whatever the action throws. */
export async function attempt<T>(doing: string, action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw engineError(cause, doing);
  }
}

/** Runs tasks in the order they come, each when the one before has settled. */
function queue(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const result = last.then(task);
    last = result.catch(() => undefined);
    return result;
  };
}
