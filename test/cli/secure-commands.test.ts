/** Commands against a service that wants TLS and a token. */

import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import test, { type ExecutionContext } from 'ava';

import { checkService } from '../../services/cli/doctor/services.js';
import { systemClock } from '../../shared/foundation/index.js';
import { temporaryFolder } from '../dataset/folders.js';
import { authority } from '../rpc/certificates.js';
import { securityOf } from '../rpc/security.js';
import { fakeTrainer } from './fake-trainer.js';
import { run } from './sinks.js';

/** A trainer with TLS and one reader, and the files of its clients. */
async function secureTrainer(t: ExecutionContext) {
  const folder = await temporaryFolder(t);
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const ca = await authority();
  const { cert, key } = await ca.issue('trainer');
  const tokenSha256 = [createHash('sha256').update('a_token').digest('hex')];
  const identities = [{ name: 'reader', roles: ['read'], tokenSha256 }];
  const security = securityOf({
    IP_DIFFUSION_TLS_CERT_FILE: await file('cert', cert),
    IP_DIFFUSION_TLS_KEY_FILE: await file('key', key),
    IP_DIFFUSION_IDENTITIES_FILE: await file('identities', JSON.stringify({ identities })),
  });
  const { address } = await fakeTrainer(t, [], security);
  return {
    address,
    files: { ca: await file('ca', ca.cert), token: await file('token', 'a-token\n') },
    setToken: (text: string) => file('token', text),
  };
}

test('--ca and --token-file reach a service with TLS, and variables do the same', async (t) => {
  const { address, files, setToken } = await secureTrainer(t);
  const words = ['jobs', 'list', '--address', address, '--ca', files.ca];
  const without = await run(words);
  t.is(without.exitCode, 1);
  t.regex(without.err, /wanted a valid bearer token/);
  const wrong = await run([...words, '--token-file', files.token]);
  t.is(wrong.err, without.err);
  await setToken('a token');
  t.regex((await run([...words, '--token-file', files.token])).err, /wanted a file that holds a token/);
});

test('a role that is missing is said', async (t) => {
  const { address, files, setToken } = await secureTrainer(t);
  await setToken('a_token');
  const environment = { IP_DIFFUSION_CA_FILE: files.ca, IP_DIFFUSION_TOKEN_FILE: files.token };
  const list = await run(['jobs', 'list', '--address', address], { environment });
  t.is(list.exitCode, 0, list.err);
  const cancel = await run(['jobs', 'cancel', 'job-1', '--address', address], { environment });
  t.is(cancel.exitCode, 1);
  t.regex(cancel.err, /the method needs the role train/);
});

test('a token is not sent to another machine without TLS, and files that are missing are named', async (t) => {
  const { files } = await secureTrainer(t);
  const elsewhere = ['jobs', '--address', '192.0.2.1:50061', '--token-file', files.token];
  t.regex((await run(elsewhere)).err, /wanted TLS \(--ca\) to 192\.0\.2\.1:50061/);
  const missing = await run(['jobs', '--ca', '/missing/ca.pem']);
  t.regex(missing.err, /\/missing\/ca\.pem can't be read \(ENOENT\)/);
  t.regex((await run(['jobs', '--ca', files.ca, '--cert', files.ca])).err, /--cert and --key together/);
});

test('doctor asks a service with TLS', async (t) => {
  const { address, files } = await secureTrainer(t);
  const signal = new AbortController().signal;
  const check = (ca: string | undefined) =>
    checkService('trainer', { address, security: { ca }, clock: systemClock, signal });
  t.like(await check(files.ca), { state: 'ok' });
  t.like(await check(undefined), { state: 'wrong' });
});

test('doctor warns of a service that a network may reach without TLS or a token', async (t) => {
  const { address } = await fakeTrainer(t);
  const secure = await secureTrainer(t);
  const signal = new AbortController().signal;
  const check = (at: string, ca?: string) =>
    checkService('trainer', {
      ...{ address: at.replace('127.0.0.1', '0.0.0.0'), security: { ca } },
      ...{ clock: systemClock, signal },
    });
  const open = await check(address);
  t.is(open.state, 'warning');
  t.regex(
    open.text,
    /^serving at 0\.0\.0\.0:\d+ without TLS and a token: whoever reaches that address can use it$/,
  );
  // Its certificate is for another address.
  t.like(await check(secure.address, secure.files.ca), { state: 'wrong' });
});
