/** What clients ask of jobs: creating, reading, listing, cancelling, resuming. */

import { randomUUID } from 'node:crypto';

import { canonicalJson } from '../../shared/checkpoint/index.js';
import { pageOf, type PageRequest } from '../../shared/contract/index.js';
import {
  DiffusionError,
  invalidArgument,
  violation,
  type Clock,
  type FieldViolation,
  within,
} from '../../shared/foundation/index.js';
import {
  changeRecipe,
  resolveRecipe,
  type PartialRecipe,
  type TrainingRecipe,
} from '../../shared/recipe/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import type { ActiveJob } from './active-job.js';
import { checkReachable } from './dataset-folder.js';
import { checkMemory } from './estimate.js';
import { EventLog } from './event-log.js';
import { loadEventLog } from './event-segments.js';
import { isEnded, type Job, type JobRecord } from './job.js';
import type { LeaseWatch } from './job-lease.js';
import {
  changeRecord,
  createRecord,
  findClaimed,
  isJobId,
  listJobs,
  NEWEST_FIRST,
  mapInBatches,
  sha256,
  type JobOrder,
  type RequestClaim,
} from './job-records.js';
import { readJob, type StoredJob } from './job-status.js';
import type { JobSupervisor } from './job-supervisor.js';
import { settleWarmStart } from './warm-start.js';

export interface JobRequestsOptions {
  readonly store: ObjectStore;
  readonly supervisor: JobSupervisor;
  readonly leases: LeaseWatch;
  readonly clock: Clock;
  readonly memoryBytes: number;
}

/** A job to watch: its events, and how it stands whenever asked. */
export interface WatchedJob {
  readonly log: EventLog;
  job(): Job;
}

export interface JobRequests {
  /**
   * @throws DiffusionError INVALID_ARGUMENT, ALREADY_EXISTS, RESOURCE_EXHAUSTED, NOT_FOUND for a missing folder; as
   * `settleWarmStart`.
   */
  create(recipe: PartialRecipe, requestId: string): Promise<Job>;
  /** The recipe that `create` would train. @throws as `create`. */
  resolve(recipe: PartialRecipe, requestId: string): Promise<TrainingRecipe>;
  get(jobId: string): Promise<Job>;
  list(page: PageRequest): Promise<{ readonly jobs: readonly Job[]; readonly nextPageToken: string }>;
  cancel(jobId: string): Promise<Job>;
  /** @throws DiffusionError FAILED_PRECONDITION for a job that is active, or a field that may not change. */
  resume(jobId: string, changes: PartialRecipe): Promise<Job>;
  watch(jobId: string): Promise<WatchedJob>;
}

/** Of errors that are one job's matter. */
const HIDES_ONE: ReadonlySet<string> = new Set(['NOT_FOUND', 'DATA_LOSS', 'FAILED_PRECONDITION']);

const HEX_DIGITS = 8;
/** Of a job's id, which may have 63 with its digits. */
const MAX_NAME_IN_ID = 54;

export function jobRequests({
  store,
  supervisor,
  leases,
  clock,
  memoryBytes,
}: JobRequestsOptions): JobRequests {
  const creating = new Map<string, Promise<Job>>();
  const known = new Map<string, JobOrder>();

  async function resolveUnsettled(recipe: PartialRecipe, requestId: string): Promise<TrainingRecipe> {
    const violations = requestIdViolations(requestId);
    const digits = requestId === '' ? randomUUID() : sha256(requestId);
    const resolved = namedInRequest(
      () => resolveRecipe(recipe, `${recipe.preset ?? 'demo-32'}-${digits.slice(0, HEX_DIGITS)}`),
      violations,
    );
    checkMemory(resolved, memoryBytes);
    await checkReachable(resolved);
    return resolved;
  }

  async function create(input: PartialRecipe, requestId: string): Promise<Job> {
    const recipe = await resolveUnsettled(input, requestId);
    if (requestId === '')
      return supervisor.withPlace(async () => adopt(await createRecord(store, await recordOf(recipe))));
    const claim = { requestId, bodySha256: sha256(canonicalJson(input)) };
    // The same request many times at once takes one place in the queue.
    const key = canonicalJson(claim);
    const shared = creating.get(key) ?? createClaimed(recipe, claim).finally(() => creating.delete(key));
    creating.set(key, shared);
    return shared;
  }

  async function createClaimed(recipe: TrainingRecipe, claim: RequestClaim): Promise<Job> {
    const claimed = await findClaimed(store, claim);
    // Made to the end where an earlier try broke off.
    const make = async (): Promise<Job> =>
      adopt(await createRecord(store, claimed ?? (await recordOf(recipe)), claim));
    return claimed === undefined ? supervisor.withPlace(make) : make();
  }

  // A request that is repeated finds its job, even where the weights that it started from are gone.
  async function recordOf(unsettled: TrainingRecipe): Promise<JobRecord> {
    const recipe = await settleWarmStart(store, unsettled);
    const jobId = `${recipe.name.slice(0, MAX_NAME_IN_ID)}-${randomUUID().slice(0, HEX_DIGITS)}`;
    return { jobId, model: recipe.name, recipe, createdAt: new Date(clock.wallMs()).toISOString() };
  }

  // Another trainer or call may have been faster, and then the job is theirs.
  async function adopt(record: JobRecord): Promise<Job> {
    const { active, stored } = await locate(record.jobId);
    if (active !== undefined) return active.job;
    if (isEnded(stored.status.state) || stored.etag !== undefined) return stored;
    const { state, message } = stored.status;
    return (await supervisor.take(stored, { state, message }))?.job ?? readJob(store, record.jobId);
  }

  /**
   * Where a job's truth is: in memory, where this trainer has the job for certain or had it last; else in the store.
   * Where the store doesn't answer, what is in memory is all that anybody knows.
   */
  async function locate(
    jobId: string,
  ): Promise<{ active: ActiveJob; stored?: undefined } | { active?: undefined; stored: StoredJob }> {
    if (!isJobId(jobId)) throw invalidArgument([violation('job_id', 'the id of a job', jobId)]);
    const active = supervisor.find(jobId);
    if (active?.isCertain === true) return { active };
    const stored = await readJob(store, jobId).catch((error: unknown) => {
      if (active !== undefined && error instanceof DiffusionError && error.code === 'UNAVAILABLE')
        return undefined;
      throw error;
    });
    if (active !== undefined && (stored === undefined || stored.term === active.term)) return { active };
    if (stored === undefined) throw new Error('a job was neither in memory nor in the store');
    return { stored };
  }

  async function get(jobId: string): Promise<Job> {
    const { active, stored } = await locate(jobId);
    return active === undefined ? stored : active.job;
  }

  async function cancel(jobId: string): Promise<Job> {
    const { active, stored } = await locate(jobId);
    if (active !== undefined) {
      if (!active.ended) await supervisor.cancel(active);
      if (active.isHeld) return active.job;
      throw elsewhere(await readJob(store, jobId));
    }
    if (isEnded(stored.status.state)) return stored;
    if (!leases.isOver(jobId, stored)) throw elsewhere(stored);
    const message = `cancelled; the last checkpoint is that of step ${stored.status.committedStep}`;
    const taken = await supervisor.take(stored, { state: 'CANCELLED', message });
    await taken?.save();
    return taken?.job ?? cancel(jobId);
  }

  async function resume(jobId: string, changes: PartialRecipe): Promise<Job> {
    const { active } = await locate(jobId);
    if (active?.ended === false) throw stillActive(active.status.state);
    // What the store has must be its end.
    await active?.save();
    return supervisor.withPlace(async () => {
      const stored = await readJob(store, jobId);
      const { status, recordEtag: etag } = stored;
      if (!isEnded(status.state) && !leases.isOver(jobId, stored)) throw stillActive(status.state);
      const recipe = changedRecipe(stored.record.recipe, changes, status.committedStep);
      const record = { ...stored.record, recipe };
      const taken = await supervisor.take(
        { ...stored, record },
        {
          state: 'PENDING',
          message: 'resumed; waiting for its turn',
          before: () => changeRecord(store, { record, etag }),
        },
      );
      if (taken !== undefined) return taken.job;
      // Somebody else resumed it in between.
      throw stillActive((await readJob(store, jobId)).status.state);
    });
  }

  async function watch(jobId: string): Promise<WatchedJob> {
    const { active, stored } = await locate(jobId);
    // Looked up anew: a job that is resumed is another object with the same log.
    if (active !== undefined) return { log: active.log, job: () => (supervisor.find(jobId) ?? active).job };
    if (!isEnded(stored.status.state)) throw elsewhere(stored);
    return { log: endedLog(await loadEventLog(store, jobId), stored), job: () => stored };
  }

  /** One job that can't be read, or whose trainer is gone, must not hide the others. */
  async function listed(jobId: string): Promise<Job | undefined> {
    try {
      return await get(jobId);
    } catch (error) {
      if (error instanceof DiffusionError && HIDES_ONE.has(error.code)) return undefined;
      throw error;
    }
  }

  return {
    create,
    resolve: async (recipe, requestId) => settleWarmStart(store, await resolveUnsettled(recipe, requestId)),
    get,
    cancel,
    resume,
    watch,
    async list(page) {
      const { items, nextPageToken } = pageOf(page, await listJobs(store, known), NEWEST_FIRST);
      const jobs = await mapInBatches(items, ({ jobId }) => listed(jobId));
      return { jobs: jobs.filter((job) => job !== undefined), nextPageToken };
    },
  };
}

/** A log whose last event is the job's end, even where the saving of that event failed. */
function endedLog(log: EventLog, { status, term }: StoredJob): EventLog {
  const { state, failureReason, message } = status;
  if (!log.ended) log.append(term, { kind: 'state', state, message, failureReason });
  return log;
}

function changedRecipe(
  current: TrainingRecipe,
  changes: PartialRecipe,
  committedStep: number,
): TrainingRecipe {
  const recipe = namedInRequest(() => changeRecipe(current, changes));
  if (recipe.training.steps >= committedStep) return recipe;
  const refused = violation(
    'recipe.training.steps',
    `at least ${committedStep}, the steps done`,
    recipe.training.steps,
  );
  throw new DiffusionError('RECIPE_DIFFERS', `${refused.field}: ${refused.description}`, {
    violations: [refused],
  });
}

/** Runs a check of the recipe, whose fields lie under `recipe` in a request. */
function namedInRequest(check: () => TrainingRecipe, others: readonly FieldViolation[] = []): TrainingRecipe {
  let recipe: TrainingRecipe;
  try {
    recipe = check();
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.violations.length === 0) throw error;
    const found = [...others, ...within('recipe', error.violations)];
    if (error.code === 'INVALID_ARGUMENT') throw invalidArgument(found);
    throw DiffusionError.received(error.code, error.reason, error.message, { violations: found });
  }
  if (others.length > 0) throw invalidArgument(others);
  return recipe;
}

function requestIdViolations(requestId: string): FieldViolation[] {
  if (/^[\x20-\x7e]{0,64}$/.test(requestId)) return [];
  return [violation('request_id', 'up to 64 printable ASCII characters', requestId)];
}

function elsewhere({ lease }: StoredJob): DiffusionError {
  const trainer = lease?.trainer ?? 'another trainer';
  return new DiffusionError('JOB_ELSEWHERE', `trainer ${trainer} has the job; call that one`, {
    metadata: { trainer },
  });
}

function stillActive(state: string): DiffusionError {
  return new DiffusionError('JOB_ACTIVE', `wanted a job that has ended; got one that is ${state}`);
}
