/** The metrics of a service, with its certificate and a token where the settings ask for them. */

import { createHash, timingSafeEqual } from 'node:crypto';

import { unusable, watchFiles, type WatchedFiles } from '../access/index.js';
import { packageFile, type DiffusionError } from '../foundation/index.js';
import { serveMetrics, type MetricRegistry, type MetricsEndpoint } from '../metrics/index.js';
import type { MetricsSettings } from './metrics-settings.js';
import { watchCertificates } from './tls.js';

/** Metrics, and where they are served. */
export interface ServedMetrics extends MetricsSettings {
  readonly registry: MetricRegistry;
}

/**
 * @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE) for a certificate, key or token that can't be
 * used; UNAVAILABLE (reason ADDRESS_UNAVAILABLE).
 */
export async function metricsEndpoint(
  { address, registry, tokenFile, tls, reloadMs }: ServedMetrics,
  onUnusable: (error: DiffusionError) => void,
): Promise<MetricsEndpoint> {
  const token = tokenFile === undefined ? undefined : await watchToken(tokenFile, reloadMs, onUnusable);
  const certificates =
    tls && (await watchCertificates({ ...tls, clientCaFile: undefined }, reloadMs, onUnusable));
  const close = (): void => {
    token?.close();
    certificates?.close();
  };
  registry.addProcess(packageFile().version);
  try {
    const endpoint = await serveMetrics(address, registry, {
      ...(token && {
        mayRead: (authorization) => timingSafeEqual(digestOf(authorization), token.current()),
      }),
      ...(certificates && {
        tls: {
          current: () => {
            const { certificate, privateKey } = certificates.current();
            return { cert: certificate, key: privateKey };
          },
          onChange: certificates.onChange,
        },
      }),
    });
    return {
      port: endpoint.port,
      close: async () => {
        close();
        await endpoint.close();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** The digest of the header that is let in. @throws DiffusionError CREDENTIALS_UNUSABLE. */
export function watchToken(
  path: string,
  everyMs: number,
  onUnusable: (error: DiffusionError) => void,
): Promise<WatchedFiles<Buffer>> {
  return watchFiles({
    ...{ paths: [path], everyMs, onUnusable },
    parse: ([content]) => {
      const token = content?.toString('utf8').trim() ?? '';
      if (!/^[\x21-\x7e]{1,4000}$/.test(token))
        throw unusable(
          [path],
          'wanted a file that holds a token of at most 4000 characters and nothing else',
        );
      return digestOf(`Bearer ${token}`);
    },
  });
}

/** Of one length whatever is sent, for a comparison that takes one time. */
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
