/** Temporal's packages: 260 MB that only `pipeline` needs. `npm run setup -- --temporal` puts them into its downloads. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import type * as activity from '@temporalio/activity';
import type * as client from '@temporalio/client';

import { DiffusionError } from '../../../shared/foundation/index.js';

/** In the set-up's downloads. Has the version of deploy/setup/temporal/package.json. */
export const TEMPORAL_FOLDER = 'temporal/1.24.0';

/** The part of `@temporalio/worker` that is used. Its types come with 150 MB of programs for five systems. */
interface WorkerPackage {
  readonly Runtime: {
    install(options: {
      logger: unknown;
      shutdownSignals: readonly string[];
      telemetryOptions: unknown;
    }): unknown;
  };
  readonly DefaultLogger: new (
    level: 'WARN' | 'INFO',
    write: (entry: { readonly message: string; readonly meta?: object }) => void,
  ) => object;
  readonly NativeConnection: {
    connect(options: TemporalAddress): Promise<{ close(): Promise<void> }>;
  };
  readonly Worker: { create(options: WorkerOptions): Promise<TemporalWorker> };
}

export interface TemporalWorker {
  /** Resolves when it has shut down. */
  run(): Promise<void>;
  shutdown(): void;
}

interface WorkerOptions {
  readonly connection: unknown;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly workflowsPath: string;
  readonly bundlerOptions: {
    webpackConfigHook(config: { resolve?: { modules?: string[] } }): object;
  };
  readonly activities: object;
  readonly maxConcurrentActivityTaskExecutions: number;
  readonly maxHeartbeatThrottleInterval: number;
  readonly defaultHeartbeatThrottleInterval: number;
  readonly shutdownGraceTime: number;
}

export interface TemporalAddress {
  readonly address: string;
  readonly tls?: client.TLSConfig;
}

export interface TemporalPackages {
  readonly client: typeof client;
  readonly activity: typeof activity;
  /** Loaded when it is asked for: it starts a runtime of its own. */
  worker(): WorkerPackage;
  /** Where the packages are. */
  readonly modules: string;
}

/** @throws DiffusionError FAILED_PRECONDITION (reason PACKAGES_MISSING) where the set-up hasn't put them there. */
export function temporalPackages(downloads: string): TemporalPackages {
  const folder = join(downloads, TEMPORAL_FOLDER);
  if (!existsSync(join(folder, 'package.json'))) {
    throw new DiffusionError(
      'PACKAGES_MISSING',
      "pipelines need Temporal's packages, which aren't installed",
      {
        metadata: { remedy: 'npm run setup -- --temporal (260 MB)' },
      },
    );
  }
  const load = createRequire(join(folder, 'package.json'));
  return {
    client: load('@temporalio/client') as typeof client,
    activity: load('@temporalio/activity') as typeof activity,
    worker: () => load('@temporalio/worker') as WorkerPackage,
    modules: join(folder, 'node_modules'),
  };
}

/** What is said where a connection to the server can't be made. */
export function unreachable({ address }: TemporalAddress, cause: unknown): DiffusionError {
  return new DiffusionError('TEMPORAL_UNREACHABLE', `no Temporal server answers at ${address}`, {
    cause,
    metadata: { remedy: 'start one (temporal server start-dev), or name another with --temporal' },
  });
}
