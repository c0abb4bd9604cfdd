/**
 * Run once before the services of compose.yaml, in two parts: `keys` makes the users' keys where there are none, `bucket`
 * makes the bucket and says what each user may do in it.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const BUCKET = 'models';
const USERS = ['trainer', 'sampler'];
const ROOT = 'root';
const TRIES = 100;

const { KEYS_FOLDER = '/keys', S3_HOST = 's3', S3_PORT = '7070' } = process.env;
const secretFile = (user) => join(KEYS_FOLDER, `${user}-secret-key`);
const secretOf = (user) => readFileSync(secretFile(user), 'utf8');

const parts = { keys, bucket };
const part = parts[process.argv[2]];
if (part === undefined) throw new Error(`wanted ${Object.keys(parts).join(' or ')}; got ${process.argv[2]}`);
await part();

function keys() {
  const secret = (file) => {
    // Readable for nobody else: the server and the services run as the same user.
    if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('hex'), { mode: 0o400 });
  };
  for (const user of [ROOT, ...USERS]) {
    secret(secretFile(user));
    writeFileSync(join(KEYS_FOLDER, `${user}-access-key`), user);
  }
  // Of resume tokens: with it, the sampler need not write to the store.
  secret(join(KEYS_FOLDER, 'resume-key'));
  const accounts = USERS.map((user) => [user, { access: user, secret: secretOf(user), role: 'user' }]);
  mkdirSync(join(KEYS_FOLDER, 'iam'), { recursive: true });
  writeFileSync(
    join(KEYS_FOLDER, 'iam', 'users.json'),
    JSON.stringify({ accessAccounts: Object.fromEntries(accounts) }),
    { mode: 0o600 },
  );
}

async function bucket() {
  // Only here: the first part needs no package.
  const { Client } = await import('minio');
  const server = { endPoint: S3_HOST, port: Number(S3_PORT), useSSL: false, region: 'us-east-1' };
  const client = new Client({ ...server, accessKey: ROOT, secretKey: secretOf(ROOT) });
  for (let attempt = 1; ; attempt += 1) {
    try {
      if (!(await client.bucketExists(BUCKET))) await client.makeBucket(BUCKET);
      break;
    } catch (error) {
      if (attempt === TRIES) throw error;
      await new Promise((settle) => setTimeout(settle, 200));
    }
  }
  const [all, inside] = [`arn:aws:s3:::${BUCKET}`, `arn:aws:s3:::${BUCKET}/*`];
  const allow = (user, Action, Resource) => ({
    Effect: 'Allow',
    Principal: { AWS: [user] },
    Action,
    Resource,
  });
  const list = ['s3:ListBucket', 's3:GetBucketLocation'];
  const write = ['s3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'];
  const Statement = [
    allow('trainer', [...list, 's3:ListBucketMultipartUploads'], [all]),
    allow('trainer', ['s3:GetObject', ...write], [inside]),
    allow('sampler', list, [all]),
    allow('sampler', ['s3:GetObject'], [inside]),
  ];
  await client.setBucketPolicy(BUCKET, JSON.stringify({ Version: '2012-10-17', Statement }));
}
