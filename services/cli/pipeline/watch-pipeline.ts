/** A pipeline until it has ended: how far it is, and what came out. */

import type { Client, WorkflowExecutionDescription } from '@temporalio/client';

import { DiffusionError, pause } from '../../../shared/foundation/index.js';
import type { Context } from '../command.js';
import { formatCount } from '../format.js';
import { PROGRESS, type PipelineProgress } from './pipelines.js';
import type { TemporalPackages } from './temporal-packages.js';

const LOOK_EVERY_MS = 2000;
/** A workflow that no worker takes up never answers. */
const ANSWER_WITHIN_MS = 5000;

/**
 * @returns what the pipeline returned.
 * @throws DiffusionError FAILED_PRECONDITION (reason PIPELINE_FAILED) where it failed or was cancelled; the signal's reason.
 */
export async function watchPipeline(
  client: Client,
  { client: { WorkflowFailedError } }: TemporalPackages,
  workflowId: string,
  { terminal, signal }: Pick<Context, 'terminal' | 'signal'>,
): Promise<unknown> {
  const bar = terminal.progress();
  try {
    for (;;) {
      signal.throwIfAborted();
      const described = await describePipeline(client, workflowId);
      if (described.status.name !== 'RUNNING') break;
      const progress = await progressOf(client, workflowId);
      if (progress !== undefined) {
        const { stage, done, total } = progress;
        terminal.emit({ event: 'progress', stage, done, total });
        const facts = [
          ...(total === 0 ? [] : [`${formatCount(done)}/${formatCount(total)} images`]),
          ...failureFacts(described),
        ];
        bar.update({ label: stage, facts, ...(total > 0 && { share: done / total }) });
      }
      await pause(LOOK_EVERY_MS, signal);
    }
  } finally {
    bar.end();
  }
  try {
    return await client.workflow.getHandle(workflowId).result();
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    throw new DiffusionError('PIPELINE_FAILED', `${workflowId} ${reasonOf(error)}`, { cause: error });
  }
}

/** Why a piece of work failed that is tried again. */
function failureFacts({ raw }: WorkflowExecutionDescription): string[] {
  const failures = (raw.pendingActivities ?? []).map(({ lastFailure }) => lastFailure?.message ?? '');
  const [first] = failures.filter((message) => message !== '');
  return first === undefined ? [] : [`tried again after: ${first}`];
}

/** @throws DiffusionError NOT_FOUND (reason PIPELINE_NOT_FOUND). */
export async function describePipeline(
  client: Client,
  workflowId: string,
): Promise<WorkflowExecutionDescription> {
  try {
    return await client.workflow.getHandle(workflowId).describe();
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'WorkflowNotFoundError') throw error;
    throw new DiffusionError('PIPELINE_NOT_FOUND', `there is no pipeline ${workflowId}`, { cause: error });
  }
}

/** With the images of pipelines that it waits for; undefined where no worker answers for it. */
export async function progressOf(client: Client, workflowId: string): Promise<PipelineProgress | undefined> {
  const query = client.workflow.getHandle(workflowId).query<PipelineProgress>(PROGRESS);
  const own = await Promise.race([query.catch(() => undefined), pause(ANSWER_WITHIN_MS)]);
  if (own === undefined) return undefined;
  const children = await Promise.all(own.children.map((child) => progressOf(client, child)));
  const known = children.filter((child) => child !== undefined);
  const sum = (key: 'done' | 'total'): number => known.reduce((all, child) => all + child[key], 0);
  const [only] = known.length === 1 ? known : [];
  return {
    ...own,
    stage: only?.stage ?? own.stage,
    done: own.done + sum('done'),
    total: Math.max(own.total, sum('total')),
  };
}

/** Temporal wraps what a workflow failed with. */
function reasonOf(error: Error): string {
  const causes: Error[] = [];
  for (let inner: unknown = error.cause; inner instanceof Error; inner = inner.cause) causes.push(inner);
  if (causes.some(({ name }) => name === 'CancelledFailure')) return 'was cancelled';
  return `failed: ${causes.at(-1)?.message ?? error.message}`;
}
