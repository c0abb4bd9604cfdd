/** The one place where a call is let in: who makes it, whether they may, and whether they make too many. */

import { Metadata, ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';

import {
  authentication,
  callLimiter,
  failedCalls,
  isOpen,
  requireRole,
  type AccessSettings,
  type Caller,
  type Credentials,
  type Identity,
} from '../access/index.js';
import { DiffusionError, systemClock } from '../foundation/index.js';
import { NO_SPAN, NO_TRACER, type Tracer } from '../tracing/index.js';
import type { EndedCall } from './call-metrics.js';
import { beginCallSpan } from './call-spans.js';
import { addressOf, anonymous, setCaller } from './callers.js';
import { certificateNames } from './certificate-names.js';
import { openCalls } from './open-calls.js';
import { REQUEST_ID_HEADER, requestIdOf } from './request-id.js';
import { toServiceError, type ReportInternalError } from './status.js';

export interface AccessControl {
  readonly interceptor: ServerInterceptor;
  readonly close: () => void;
}

export interface AccessControlOptions {
  readonly report: ReportInternalError;
  /** @throws DiffusionError for a call that the server doesn't take now, whoever makes it. */
  readonly checkAccepting?: (path: string) => void;
  /** Called where a file changes to one that can't be used. */
  readonly onUnusable: (error: DiffusionError) => void;
  /** Called with each call that is not let in; the cause of a DiffusionError says what its text must not. */
  readonly onRefused: (
    error: unknown,
    call: Pick<EndedCall, 'method' | 'isAuthenticated' | 'caller' | 'requestId' | 'span'>,
  ) => void;
  readonly tracer?: Tracer | undefined;
}

const TOKEN_HEADER = 'authorization';

/**
 * Before a byte of a request is read, each call of each service (reflection too) is refused or goes on to its handler,
 * which finds the caller by `callerOf`.
 *
 * @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE) for a file that can't be used.
 */
export async function accessControl(
  settings: AccessSettings,
  { report, checkAccepting, onUnusable, onRefused, tracer = NO_TRACER }: AccessControlOptions,
): Promise<AccessControl> {
  const { identify, identifyAgain, close } = await authentication(settings, onUnusable);
  const limiter = settings.limits && callLimiter(settings.limits, systemClock);
  const failed = failedCalls(settings.failedCallsPerMinute, systemClock);
  const underWay = openCalls(identifyAgain, settings.reloadMs);

  const interceptor: ServerInterceptor = ({ path }, call) => {
    let isOver = false;
    let isAuthenticated = false;
    let caller = anonymous(call.getPeer()).caller;
    let requestId = '';
    let span = NO_SPAN;
    const revoked = new AbortController();
    const releases: (() => void)[] = [];
    const ended = (): void => {
      isOver = true;
      for (const release of releases.splice(0)) release();
    };

    async function identified(credentials: Credentials): Promise<Identity | undefined> {
      const address = addressOf(call.getPeer());
      failed.refuse(address);
      try {
        return await identify(credentials);
      } catch (error) {
        if (error instanceof DiffusionError && error.code === 'UNAUTHENTICATED') failed.count(address);
        throw error;
      }
    }

    async function admit(metadata: Metadata): Promise<Caller> {
      const unknown = anonymous(call.getPeer());
      checkAccepting?.(path);
      if (isOpen(path)) return unknown;
      const credentials = {
        authorization: metadata.get(TOKEN_HEADER).map(String),
        // Empty for a certificate that was not verified.
        certificateNames: certificateNames(call.getAuthContext().sslPeerCertificate),
      };
      const identity = await identified(credentials);
      isAuthenticated = identity !== undefined;
      if (identity !== undefined) caller = identity.name;
      if (identity !== undefined) requireRole(path, identity);
      if (limiter !== undefined) releases.push(limiter.begin(caller));
      if (identity !== undefined) releases.push(underWay.begin({ path, credentials, identity, revoked }));
      // The client may have left while its token was being verified.
      if (isOver) ended();
      return identity === undefined ? unknown : { caller, identity };
    }

    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, goOn) => {
            requestId = requestIdOf(metadata);
            span = beginCallSpan(tracer, path, requestId, metadata);
            admit(metadata)
              .then((admitted) => {
                // Not for handlers, whose errors may end up in logs.
                metadata.remove(TOKEN_HEADER);
                setCaller(metadata, { ...admitted, requestId, span, revoked: revoked.signal });
                goOn(metadata);
              })
              .catch((error: unknown) => {
                ended();
                onRefused(error, { method: path, isAuthenticated, caller, requestId, span });
                const { code, details, metadata: trailers } = toServiceError(error, path, report);
                trailers.set(REQUEST_ID_HEADER, requestId);
                call.sendStatus({ code, details, metadata: trailers });
              });
          },
          onCancel: () => {
            ended();
          },
        });
      },
      sendStatus: (status, next) => {
        ended();
        const trailers = status.metadata ?? new Metadata();
        if (requestId !== '') trailers.set(REQUEST_ID_HEADER, requestId);
        next({ ...status, metadata: trailers });
      },
    });
  };

  return {
    interceptor,
    close: () => {
      underWay.close();
      close();
    },
  };
}
