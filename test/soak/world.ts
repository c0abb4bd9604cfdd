/** The processes of a soak run: an S3 server, a proxy before it, both services with TLS, and what the run itself reads. */

import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { storeFromSettings, type ObjectStore } from '../../shared/store/index.js';
import { connectSampler, connectTrainer } from '../../shared/rpc/index.js';
import { minioStore } from '../faults/stores.js';
import { makeFolders, type Folders } from '../integration/trainer-fixture.js';
import { freePort, GO_MISSING, startMinio } from '../minio-server.js';
import { authority, type Authority } from '../rpc/certificates.js';
import { keepService, type KeptService } from './kept-service.js';
import type { Recorder } from './recorder.js';
import { smallDisk, type SmallDisk } from './small-disk.js';
import { startToxiproxy, type Toxiproxy } from './toxiproxy.js';

export const CONCURRENT_JOBS = 2;
const STORE_MIB = 1024;
const LOCAL_MIB = 96;

export interface World {
  readonly folders: Folders;
  readonly proxy: Toxiproxy;
  readonly trainer: KeptService;
  readonly sampler: KeptService;
  /** The store, past the proxy. */
  readonly store: ObjectStore;
  /** Those of the store, and of the trainer's spill and caches; undefined where this user may not mount any. */
  readonly disks: { readonly store: SmallDisk; readonly local: SmallDisk } | undefined;
  readonly certificates: Certificates;
  /** A client with a connection of its own, which its user closes. @param channel Options of gRPC's. */
  trainerClient(channel?: object): ReturnType<typeof connectTrainer>;
  samplerClient(): ReturnType<typeof connectSampler>;
  close(): Promise<void>;
}

export interface Certificates {
  readonly authority: Authority;
  /** Gives the services a new certificate. @returns the name that it has. */
  rotate(): Promise<string>;
}

/** @param logs A folder for the services' logs. @throws Error where Go is missing. */
export async function openWorld(logs: string, recorder: Recorder): Promise<World> {
  const folders = await makeFolders();
  const disks = await disksIn(folders.root);
  const minio = await startMinio(join(folders.root, 'store'));
  const proxy = minio && (await startToxiproxy(minio.port));
  if (minio === undefined || proxy === undefined) throw new Error(GO_MISSING);
  const caFile = join(folders.root, 'ca.pem');
  const certificates = await certificatesIn(folders.root);
  await writeFile(caFile, certificates.authority.cert);
  const environment = {
    ...minioStore(minio, proxy.port).environment,
    IP_DIFFUSION_TLS_CERT_FILE: join(folders.root, 'tls.crt'),
    IP_DIFFUSION_TLS_KEY_FILE: join(folders.root, 'tls.key'),
    IP_DIFFUSION_DATASET_CACHE: join(folders.root, 'local', 'datasets'),
    IP_DIFFUSION_SPILL: join(folders.root, 'local', 'spill'),
    IP_DIFFUSION_TRAINER_JOBS: String(CONCURRENT_JOBS),
    IP_DIFFUSION_LEASE_MS: '5000',
    // A job whose engine is killed again and again is not at fault here.
    IP_DIFFUSION_ENGINE_RESTARTS: '1000',
    IP_DIFFUSION_ENGINE_RESTART_DELAY_MS: '50',
    IP_DIFFUSION_STORE_CALL_LIMIT_MS: '10000',
  };
  const service = async (name: 'trainer' | 'sampler'): Promise<KeptService> =>
    keepService(name, {
      ...{ environment, recorder, port: await freePort() },
      logFile: join(logs, `${name}.log`),
    });
  const [trainer, sampler] = [await service('trainer'), await service('sampler')];
  const store = await storeFromSettings(minioStore(minio).settings);
  const security = { ca: caFile };
  return {
    ...{ folders, proxy, trainer, sampler, store, disks, certificates },
    trainerClient: (channel = {}) => connectTrainer(trainer.address, { security, channel }),
    samplerClient: () => connectSampler(sampler.address, { security }),
    close: async () => {
      await Promise.all([trainer.close(), sampler.close()]);
      await store.close();
      await proxy.stop();
      await minio.stop();
      await disks?.store.unmount();
      await disks?.local.unmount();
      await folders.remove();
    },
  };
}

async function disksIn(root: string): Promise<World['disks']> {
  const store = await smallDisk(join(root, 'store'), STORE_MIB);
  const local = await smallDisk(join(root, 'local'), LOCAL_MIB);
  return store && local && { store, local };
}

async function certificatesIn(folder: string): Promise<Certificates> {
  const trusted = await authority();
  let number = 0;
  const rotate = async (): Promise<string> => {
    const name = `certificate ${++number}`;
    const { cert, key } = await trusted.issue(name);
    for (const [file, text] of [
      ['tls.crt', cert],
      ['tls.key', key],
    ] as const) {
      await writeFile(join(folder, `${file}.new`), text);
      await rename(join(folder, `${file}.new`), join(folder, file));
    }
    return name;
  };
  await rotate();
  return { authority: trusted, rotate };
}
