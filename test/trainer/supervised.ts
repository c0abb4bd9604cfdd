/** Supervisors of jobs whose engines follow a script, over local stores; all of it ends with the test file. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import pino from 'pino';

import { systemClock } from '../../shared/foundation/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';
import { openLocalStore, type ObjectStore } from '../../shared/store/index.js';
import type { ActiveJob } from '../../services/trainer/active-job.js';
import type { StartEngine } from '../../services/trainer/engine.js';
import { START, type FollowedEvent } from '../../services/trainer/event-log.js';
import type { JobRecord } from '../../services/trainer/job.js';
import { LeaseWatch } from '../../services/trainer/job-lease.js';
import { createRecord } from '../../services/trainer/job-records.js';
import { jobRecovery } from '../../services/trainer/job-recovery.js';
import { readJob } from '../../services/trainer/job-status.js';
import { JobSupervisor, type SupervisorSettings } from '../../services/trainer/job-supervisor.js';
import { localSources } from './fake-engine.js';
import { SUPERVISOR } from './trainers.js';

export const never = new AbortController().signal;
export const root = await mkdtemp(join(tmpdir(), 'supervisor-test-'));
const supervisors: JobSupervisor[] = [];
test.after.always(async () => {
  await Promise.all(supervisors.map((supervisor) => supervisor.stop()));
  await rm(root, { recursive: true, force: true });
});

export async function openStore(): Promise<ObjectStore> {
  return openLocalStore({ folder: await mkdtemp(join(root, 'store-')) });
}

export async function supervise(startEngine: StartEngine, over: Partial<SupervisorSettings> = {}) {
  const store = over.store ?? (await openStore());
  const supervisor = new JobSupervisor({
    ...SUPERVISOR,
    ...{ store, startEngine, clock: systemClock, leaseMs: 60_000 },
    trainer: { holder: `trainer ${supervisors.length}`, name: 'me', process: undefined },
    ...over,
  });
  supervisors.push(supervisor);
  return { store, supervisor };
}

export async function add(store: ObjectStore, supervisor: JobSupervisor, name = 'model'): Promise<ActiveJob> {
  const recipe = resolveRecipe({ name }, name);
  const record: JobRecord = {
    jobId: `${name}-1`,
    model: name,
    recipe,
    createdAt: '2020-01-01T00:00:00.000Z',
  };
  await createRecord(store, record);
  const job = await readJob(store, record.jobId);
  const active = await supervisor.take(job, { state: 'PENDING', message: 'waiting for its turn' });
  if (active === undefined) throw new Error('another trainer was faster');
  return active;
}

export function recoveryOf(store: ObjectStore, supervisor: JobSupervisor) {
  const leases = new LeaseWatch(systemClock, { holder: 'me' });
  return jobRecovery({
    ...{ store, supervisor, leases, sources: localSources, leaseMs: 60_000 },
    logger: pino({ level: 'silent' }),
  });
}

/** Reads events to the job's end and returns its states. */
export async function states(active: ActiveJob): Promise<string[]> {
  const entries: FollowedEvent[] = [];
  for await (const entry of active.log.follow(START, never)) entries.push(entry);
  return [
    ...entries.flatMap(({ event }) => (event.kind === 'state' ? [event.state] : [])),
    active.status.state,
  ];
}
