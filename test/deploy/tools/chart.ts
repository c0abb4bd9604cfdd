/** The chart: linted, rendered with each set of values, and compared with the schemas of Kubernetes. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { parseAllDocuments } from 'yaml';

import { testTool } from '../../../deploy/setup/test-tools.js';
import { program } from '../../images/programs.js';
import { ROOT } from '../../programs.js';

const CHART = join(ROOT, 'deploy/helm/ip-diffusion');
const VALUES = join(ROOT, 'test/deploy/tools/values');
const VERSION = '1.34.0';
/** Kinds of others, whose schemas come with their operators. */
const UNKNOWN_KINDS = ['Certificate', 'PrometheusRule', 'ScaledObject', 'ServiceMonitor'];

/** Files that are rendered from the chart, for those without Helm, by the values that they are rendered with. */
const EXAMPLES: Readonly<
  Record<string, { readonly file: string; readonly only?: string; readonly about: string }>
> = {
  's3.yaml': { file: 'deploy/kubernetes/example.yaml', about: 'Both services.' },
  'batches.yaml': {
    file: 'deploy/batch/kubernetes-indexed-job.yaml',
    only: 'templates/batch-job.yaml',
    about: 'Workers of a batch: each pod makes its part of the shards, and all write into one output.',
  },
};

function header(values: string, about: string): string {
  return `# ${about}
# Rendered from deploy/helm/ip-diffusion with test/deploy/tools/values/${values}, for those without Helm:
# npm run test:deploy -- --write-example
# Replace the names of secrets and claims, the images and the addresses by your own.
`;
}

interface Container {
  readonly securityContext?: object;
}

interface Pod {
  readonly securityContext?: object;
  readonly containers: readonly Container[];
}

interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly template?: { readonly spec: Pod } };
}

/** @throws AssertionError, or Error with a program's output. */
export async function checkChart(python: string, writesExample: boolean): Promise<string> {
  const helm = await testTool('helm');
  assert(helm !== undefined, 'Go is missing, which builds helm');
  const render = (...args: string[]): Promise<string> =>
    program(helm, [
      'template',
      'ip-diffusion',
      CHART,
      '--kube-version',
      VERSION,
      '--namespace',
      'diffusion',
      ...args,
    ]);
  const sets = (await readdir(VALUES)).sort();
  const folder = await mkdtemp(join(tmpdir(), 'chart-'));
  let resources = 0;
  try {
    for (const set of sets) {
      const values = join(VALUES, set);
      await program(helm, [
        'lint',
        '--strict',
        '--quiet',
        CHART,
        '--kube-version',
        VERSION,
        '--values',
        values,
      ]);
      const rendered = await render('--values', values);
      const file = join(folder, set);
      await writeFile(file, rendered);
      const { unknown } = await validated(python, file);
      assert.deepEqual(
        unknown.filter((kind) => !UNKNOWN_KINDS.includes(kind)),
        [],
      );
      for (const resource of resourcesOf(rendered)) {
        resources += 1;
        checkRestricted(set, resource);
      }
      const example = EXAMPLES[set];
      if (example !== undefined) {
        const { file: path, only, about } = example;
        const part = only === undefined ? rendered : await render('--values', values, '--show-only', only);
        await checkExample(join(ROOT, path), `${header(set, about)}${part}\n`, writesExample);
      }
    }
    await checkRefusals(render);
  } finally {
    await rm(folder, { recursive: true });
  }
  return `${resources} resources of ${sets.map((set) => basename(set, '.yaml')).join(', ')} are valid for Kubernetes ${VERSION}`;
}

async function validated(python: string, file: string): Promise<{ unknown: string[] }> {
  const script = `exec "$1" -m kubernetes_validate --strict -k "$2" "$3" 2>&1`;
  const output = await program('sh', ['-c', script, 'sh', python, VERSION, file]);
  return { unknown: [...output.matchAll(/schema for kind (\w+)/g)].map(([, kind = '']) => kind) };
}

function resourcesOf(rendered: string): Resource[] {
  return parseAllDocuments(rendered)
    .map((document) => document.toJS() as Resource | null)
    .filter((resource) => resource !== null);
}

/** Source: Kubernetes, Pod Security Standards, the profile "restricted"; and a root file system that can't be written. */
function checkRestricted(set: string, { kind, metadata, spec }: Resource): void {
  const pod = spec?.template?.spec;
  if (pod === undefined) return;
  const where = `${set}: ${kind} ${metadata.name}`;
  const wanted = { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } };
  const { runAsNonRoot, runAsUser, seccompProfile } = { ...pod.securityContext } as Partial<typeof wanted>;
  assert.deepEqual({ runAsNonRoot, runAsUser, seccompProfile }, wanted, where);
  for (const { securityContext } of pod.containers) {
    assert.deepEqual(
      securityContext,
      { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      where,
    );
  }
}

async function checkExample(path: string, text: string, writes: boolean): Promise<void> {
  if (writes) await writeFile(path, text);
  assert.equal(await readFile(path, 'utf8'), text, 'run npm run test:deploy -- --write-example');
}

/** What can't work is refused before anything is installed, in words. */
async function checkRefusals(render: (...args: string[]) => Promise<string>): Promise<void> {
  const folder = ['--set', 'store.claim=models'];
  const cases: readonly (readonly [args: readonly string[], wanted: RegExp])[] = [
    [['--set', 'insecure=true'], /wanted store\.s3\.address or store\.claim; got neither/],
    [folder, /wanted tls\.secret or tls\.certManager, or insecure: true/],
    [[...folder, '--set', 'tls.secret=t'], /wanted auth\.identitiesSecret or auth\.oidc/],
    [[...folder, '--set', 'insecure=true,sampler.drainSeconds=75'], /drainSeconds: wanted less than/],
    [[...folder, '--set', 'insecure=true,batch.enabled=true'], /wanted batch\.model and batch\.out/],
    [[...folder, '--set', 'insecure=true,samplers.replicas=3'], /[Aa]dditional propert.*samplers/],
    [[...folder, '--set', 'insecure=true,sampler.replicas=many'], /replicas/],
  ];
  for (const [args, wanted] of cases) await assert.rejects(render(...args), wanted);
}
