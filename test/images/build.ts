/** Builds the images of `deploy/images`. */
import { existsSync } from 'node:fs';

import { cacheFolder } from '../../shared/foundation/index.js';
import { ROOT } from '../programs.js';
import { baseImages } from './base-images.js';
import { program } from './programs.js';

const TARGETS = ['trainer', 'sampler', 'cli', 'pipeline-worker'] as const;
/** With 2 GB of NVIDIA's libraries: built where `-- --cuda` asks for it. */
const CUDA_TARGETS = ['trainer-cuda', 'sampler-cuda'] as const;
/** Inside a build: this machine's cache, and the certificates of its network. */
const [CACHE, CERTIFICATES] = ['/host-cache', '/run/certificates.pem'];

export type Target = (typeof TARGETS | typeof CUDA_TARGETS)[number];

export const imageOf = (target: Target): string => `localhost/ip-diffusion/${target}:test`;

/** What a run builds and looks at. */
export function targetsOf(args: readonly string[]): readonly Target[] {
  return args.includes('--cuda') ? [...TARGETS, ...CUDA_TARGETS] : TARGETS;
}

export async function buildImages(targets: readonly Target[]): Promise<void> {
  const { base, node } = await baseImages();
  const certificates = process.env['NODE_EXTRA_CA_CERTS'];
  const ownCertificates = certificates !== undefined && existsSync(certificates);
  const revision = await program('git', ['-C', ROOT, 'rev-parse', 'HEAD']);
  for (const target of targets) {
    await program('buildah', [
      // The format of OCI has no health checks.
      ...['bud', '--isolation=chroot', '--format=docker', '--layers', `--target=${target}`],
      ...['--build-arg', `BASE=${base}`, '--build-arg', `NODE=${node}`],
      ...['--build-arg', `REVISION=${revision}`, '--build-arg', `IP_DIFFUSION_CACHE=${CACHE}`],
      ...['--volume', `${cacheFolder(process.env)}:${CACHE}`],
      ...(ownCertificates
        ? [
            ...['--volume', `${certificates}:${CERTIFICATES}:ro`],
            ...['NODE_EXTRA_CA_CERTS', 'PIP_CERT'].flatMap((name) => [
              '--build-arg',
              `${name}=${CERTIFICATES}`,
            ]),
          ]
        : []),
      ...['--ignorefile', `${ROOT}/deploy/images/Dockerfile.dockerignore`],
      ...['-f', `${ROOT}/deploy/images/Dockerfile`, '-t', imageOf(target), ROOT],
    ]);
  }
}

/** What every container here is run with: what works without control groups, bridges and a systemd of its own. */
export function runOptions(): string[] {
  const options = ['--runtime=runc', '--network=host', '--no-healthcheck', '--read-only', '--cap-drop=ALL'];
  return [...options, '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024', '--tmpfs', '/tmp'];
}
