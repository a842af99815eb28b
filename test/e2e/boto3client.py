"""An S3 client built on boto3 in its default configuration, for the end-to-end test.

    boto3client.py version
    boto3client.py make-bucket|list|remove BUCKET
    boto3client.py put-tree|get-tree BUCKET PREFIX DIRECTORY
    boto3client.py put-file|get-file BUCKET KEY FILE

The endpoint comes from E2E_ENDPOINT, because older versions have no variable for it; region and credentials from boto3's
own variables. It prints listed keys, one on a line.
"""

import os
import sys

import boto3
import botocore


def client():
    return boto3.client("s3", endpoint_url=os.environ["E2E_ENDPOINT"])


def objects(s3, bucket):
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        yield from page.get("Contents", [])


def make_bucket(s3, bucket):
    s3.create_bucket(Bucket=bucket)


def list_keys(s3, bucket):
    for item in objects(s3, bucket):
        print(item["Key"])


def remove(s3, bucket):
    keys = [{"Key": item["Key"]} for item in objects(s3, bucket)]
    for start in range(0, len(keys), 1000):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys[start : start + 1000]})
        if answer.get("Errors"):
            sys.exit(f"delete_objects: {answer['Errors'][:3]}")
    s3.delete_bucket(Bucket=bucket)


def put_tree(s3, bucket, prefix, directory):
    for parent, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(parent, name)
            s3.upload_file(path, bucket, prefix + "/" + os.path.relpath(path, directory))


def get_tree(s3, bucket, prefix, directory):
    for item in objects(s3, bucket):
        if not item["Key"].startswith(prefix + "/"):
            continue
        path = os.path.join(directory, item["Key"][len(prefix) + 1 :])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        s3.download_file(bucket, item["Key"], path)


def put_file(s3, bucket, key, path):
    s3.upload_file(path, bucket, key)


def get_file(s3, bucket, key, path):
    s3.download_file(bucket, key, path)


VERBS = {
    "make-bucket": (make_bucket, 1),
    "list": (list_keys, 1),
    "remove": (remove, 1),
    "put-tree": (put_tree, 3),
    "get-tree": (get_tree, 3),
    "put-file": (put_file, 3),
    "get-file": (get_file, 3),
}


def main(arguments):
    if arguments == ["version"]:
        print(f"boto3 {boto3.__version__} botocore {botocore.__version__} Python {sys.version.split()[0]}")
        return
    verb, count = VERBS.get(arguments[0] if arguments else "", (None, 0))
    if verb is None or len(arguments) != count + 1:
        sys.exit(__doc__)
    verb(client(), *arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
