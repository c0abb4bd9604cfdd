/** The trace of one attempt at a job: its engine's start, what it resumes from, and its commits. */

import type { Clock } from '../../shared/foundation/index.js';
import { repeatedSpans, type Span, type Tracer } from '../../shared/tracing/index.js';
import type { FromEngine } from './engine-process/messages.js';

/** An attempt may last for weeks. */
const COMMIT_SPANS = { name: 'commit', most: 256, sums: ['diffusion.bytes'] };

export interface AttemptTrace {
  /** For the lines of the attempt in the log. */
  readonly ids: Span['ids'];
  /** The engine process said this. */
  message(message: FromEngine): void;
  /** @param failure Why it did not end as it should; undefined where it did. */
  end(failure: string | undefined): void;
}

export interface TracedAttempt {
  readonly jobId: string;
  readonly model: string;
  readonly attempt: number;
  /** The newest checkpoint in the store. */
  readonly committedStep: number;
}

export function attemptTrace(
  tracer: Tracer,
  { jobId, model, attempt, committedStep }: TracedAttempt,
  clock: Clock,
): AttemptTrace {
  const span = tracer.begin('job attempt', {
    attributes: {
      'diffusion.job_id': jobId,
      'diffusion.model': model,
      'diffusion.attempt': attempt,
      'diffusion.committed_step': committedStep,
    },
  });
  const starting = span.child('start engine');
  const commits = repeatedSpans({ ...COMMIT_SPANS, parent: span, clock });
  let isReady = false;
  return {
    ids: span.ids,
    message: (message) => {
      switch (message.kind) {
        case 'ready': {
          const { step, openedMs } = message;
          isReady = true;
          starting.child(step > 0 ? 'resume' : 'begin', { 'diffusion.step': step }, openedMs).end();
          starting.end();
          return;
        }
        case 'committed': {
          const { step, bytes, ms } = message;
          commits.begin({ 'diffusion.step': step, 'diffusion.bytes': bytes }, ms)();
          return;
        }
        default:
      }
    },
    end: (failure) => {
      if (failure !== undefined) {
        if (!isReady) starting.fail(failure);
        span.fail(failure);
      }
      starting.end();
      commits.end();
      span.end();
    },
  };
}
