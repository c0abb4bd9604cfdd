/** What clients ask of jobs: creating, reading, listing, cancelling, resuming. */

import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';

import { canonicalJson } from '../../shared/checkpoint/index.js';
import { pageOf, type PageRequest } from '../../shared/contract/index.js';
import {
  DiffusionError,
  invalidArgument,
  violation,
  type Clock,
  type FieldViolation,
} from '../../shared/foundation/index.js';
import {
  changeRecipe,
  resolveRecipe,
  type PartialRecipe,
  type TrainingRecipe,
} from '../../shared/recipe/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import { checkMemory } from './estimate.js';
import { EventLog } from './event-log.js';
import { loadEventLog } from './event-segments.js';
import { isEnded, type Job, type JobRecord } from './job.js';
import {
  changeRecord,
  createRecord,
  findClaimed,
  isJobId,
  listJobs,
  NEWEST_FIRST,
  mapInBatches,
  readJob,
  sha256,
  type JobOrder,
  type RequestClaim,
} from './job-records.js';
import type { JobSupervisor } from './job-supervisor.js';
import { settleWarmStart } from './warm-start.js';

export interface JobRequestsOptions {
  readonly store: ObjectStore;
  readonly supervisor: JobSupervisor;
  readonly clock: Clock;
  readonly owner: string;
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

const HEX_DIGITS = 8;
/** Of a job's id, which may have 63 with its digits. */
const MAX_NAME_IN_ID = 54;

export function jobRequests({
  store,
  supervisor,
  clock,
  owner,
  memoryBytes,
}: JobRequestsOptions): JobRequests {
  const creating = new Map<string, Promise<Job>>();
  const resuming = new Set<string>();
  const known = new Map<string, JobOrder>();

  async function resolveUnsettled(recipe: PartialRecipe, requestId: string): Promise<TrainingRecipe> {
    const violations = requestIdViolations(requestId);
    const digits = requestId === '' ? randomUUID() : sha256(requestId);
    const resolved = namedInRequest(
      () => resolveRecipe(recipe, `${recipe.preset ?? 'demo-32'}-${digits.slice(0, HEX_DIGITS)}`),
      violations,
    );
    checkMemory(resolved, memoryBytes);
    await checkFolder(resolved);
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
    return { jobId, model: recipe.name, recipe, owner, createdAt: new Date(clock.wallMs()).toISOString() };
  }

  async function adopt(record: JobRecord): Promise<Job> {
    const job = await get(record.jobId);
    return record.owner !== owner || isEnded(job.status.state) ? job : supervisor.add(record).job;
  }

  async function get(jobId: string): Promise<Job> {
    checkJobId(jobId);
    return supervisor.find(jobId)?.job ?? readJob(store, jobId);
  }

  async function cancel(jobId: string): Promise<Job> {
    const job = await get(jobId);
    if (isEnded(job.status.state)) return job;
    const active = supervisor.find(jobId);
    if (active === undefined) throw elsewhere(job);
    await supervisor.cancel(active);
    return active.job;
  }

  async function resume(jobId: string, changes: PartialRecipe): Promise<Job> {
    const { status } = await get(jobId);
    if (!isEnded(status.state) || resuming.has(jobId)) throw stillActive(status.state);
    resuming.add(jobId);
    try {
      return await supervisor.withPlace(async () => {
        const record = await changeRecord(store, jobId, (before) => ({
          ...before,
          owner,
          recipe: changedRecipe(before.recipe, changes, status.committedStep),
        }));
        return (await supervisor.resume({ record, status })).job;
      });
    } finally {
      resuming.delete(jobId);
    }
  }

  async function watch(jobId: string): Promise<WatchedJob> {
    const found = await get(jobId);
    const active = supervisor.find(jobId);
    // Looked up anew: a job that is resumed is another object with the same log.
    if (active !== undefined) return { log: active.log, job: () => (supervisor.find(jobId) ?? active).job };
    if (!isEnded(found.status.state)) throw elsewhere(found);
    return { log: endedLog(await loadEventLog(store, jobId), found), job: () => found };
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
      return { jobs: await mapInBatches(items, ({ jobId }) => get(jobId)), nextPageToken };
    },
  };
}

/** A log whose last event is the job's end, even where the saving of that event failed. */
function endedLog(log: EventLog, { status }: Job): EventLog {
  const { state, failureReason, message, attempt } = status;
  if (!log.ended) log.append(attempt, { kind: 'state', state, message, failureReason });
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
  throw new DiffusionError('FAILED_PRECONDITION', `${refused.field}: ${refused.description}`, {
    reason: 'RECIPE_DIFFERS',
    violations: [refused],
  });
}

/** Runs a check of the recipe, whose fields lie under `recipe` in a request. */
function namedInRequest(check: () => TrainingRecipe, others: readonly FieldViolation[] = []): TrainingRecipe {
  let recipe: TrainingRecipe | undefined;
  const found = [...others];
  try {
    recipe = check();
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.violations.length === 0) throw error;
    found.push(
      ...error.violations.map(({ field, description }) => ({ field: `recipe.${field}`, description })),
    );
    if (error.code !== 'INVALID_ARGUMENT') {
      throw new DiffusionError(error.code, error.message, { reason: error.reason, violations: found });
    }
  }
  if (recipe === undefined || found.length > 0) throw invalidArgument(found);
  return recipe;
}

function requestIdViolations(requestId: string): FieldViolation[] {
  if (/^[\x20-\x7e]{0,64}$/.test(requestId)) return [];
  return [violation('requestId', 'up to 64 printable ASCII characters', requestId)];
}

function checkJobId(jobId: string): void {
  if (!isJobId(jobId)) throw invalidArgument([violation('jobId', 'the id of a job', jobId)]);
}

/** What is plainly wrong is said at once; what is in the folder, the engine process finds. */
async function checkFolder({ dataset: { source } }: TrainingRecipe): Promise<void> {
  if (source.kind !== 'folder') return;
  const found = await stat(source.path).catch(() => undefined);
  if (found?.isDirectory() === true) return;
  const refused = violation('recipe.dataset.source.path', "a folder on the trainer's machine", source.path);
  throw new DiffusionError('NOT_FOUND', `${refused.field}: ${refused.description}`, {
    reason: 'DATASET_NOT_FOUND',
    violations: [refused],
  });
}

function elsewhere({ record }: Job): DiffusionError {
  return new DiffusionError('FAILED_PRECONDITION', 'another trainer runs the job', {
    reason: 'JOB_ELSEWHERE',
    metadata: { owner: record.owner },
  });
}

function stillActive(state: string): DiffusionError {
  return new DiffusionError('FAILED_PRECONDITION', `wanted a job that has ended; got one that is ${state}`, {
    reason: 'JOB_ACTIVE',
  });
}
