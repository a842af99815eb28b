// An S3 client built on the AWS SDK for JavaScript in its default configuration, for the end-to-end test.
//
//   node client.js version
//   node client.js make-bucket|list|remove BUCKET
//   node client.js put-tree|get-tree BUCKET PREFIX DIRECTORY
//   node client.js put-file|get-file BUCKET KEY FILE
//
// The endpoint, the region and the credentials come from the SDK's own environment variables. It prints listed keys, one
// on a line.

import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readFile, readdir } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";

import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
  paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";

const s3 = new S3Client({});

async function version() {
  const words = [];
  for (const name of ["@aws-sdk/client-s3", "@aws-sdk/lib-storage"]) {
    const manifest = new URL(`node_modules/${name}/package.json`, import.meta.url);
    words.push(name, JSON.parse(await readFile(manifest, "utf8")).version);
  }
  console.log(words.join(" "), "node", process.version);
}

async function* pages(Bucket) {
  for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket })) {
    yield page.Contents ?? [];
  }
}

async function list(bucket) {
  for await (const objects of pages(bucket)) {
    for (const object of objects) console.log(object.Key);
  }
}

async function remove(Bucket) {
  for await (const objects of pages(Bucket)) {
    if (objects.length === 0) continue;
    const Objects = objects.map(({ Key }) => ({ Key }));
    const answer = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    if (answer.Errors?.length) throw new Error(`DeleteObjects: ${JSON.stringify(answer.Errors.slice(0, 3))}`);
  }
  await s3.send(new DeleteBucketCommand({ Bucket }));
}

async function putTree(Bucket, prefix, directory) {
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const Key = `${prefix}/${path.relative(directory, file)}`;
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: createReadStream(file) }));
  }
}

async function getFile(Bucket, Key, file) {
  const answer = await s3.send(new GetObjectCommand({ Bucket, Key }));
  await pipeline(answer.Body, createWriteStream(file));
}

async function getTree(bucket, prefix, directory) {
  for await (const objects of pages(bucket)) {
    for (const { Key } of objects) {
      if (!Key.startsWith(`${prefix}/`)) continue;
      const file = path.join(directory, Key.slice(prefix.length + 1));
      await mkdir(path.dirname(file), { recursive: true });
      await getFile(bucket, Key, file);
    }
  }
}

async function putFile(Bucket, Key, file) {
  await new Upload({ client: s3, params: { Bucket, Key, Body: createReadStream(file) } }).done();
}

const verbs = {
  version,
  list,
  remove,
  "make-bucket": (Bucket) => s3.send(new CreateBucketCommand({ Bucket })),
  "put-tree": putTree,
  "get-tree": getTree,
  "put-file": putFile,
  "get-file": getFile,
};

const [verb, ...rest] = process.argv.slice(2);
if (!Object.hasOwn(verbs, verb ?? "")) throw new Error(`unknown verb ${verb}`);
await verbs[verb](...rest);
