package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sdkgo:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("wrong arguments")

func run(ctx context.Context, args []string) error {
	if slices.Equal(args, []string{"version"}) {
		fmt.Println(version())
		return nil
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	service := s3.NewFromConfig(cfg)
	c := client{service, transfermanager.New(service)}
	switch {
	case len(args) == 2 && args[0] == "make-bucket":
		_, err = c.service.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &args[1]})
	case len(args) == 2 && args[0] == "list":
		err = c.list(ctx, args[1])
	case len(args) == 2 && args[0] == "remove":
		err = c.remove(ctx, args[1])
	case len(args) == 4 && args[0] == "put-tree":
		err = c.putTree(ctx, args[1], args[2], args[3])
	case len(args) == 4 && args[0] == "get-tree":
		err = c.getTree(ctx, args[1], args[2], args[3])
	case len(args) == 4 && args[0] == "put-file":
		err = c.putFile(ctx, args[1], args[2], args[3])
	case len(args) == 4 && args[0] == "get-file":
		err = c.getFile(ctx, args[1], args[2], args[3])
	default:
		err = errUsage
	}
	return err
}

// version names the modules in use.
func version() string {
	words := []string{}
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if name, found := strings.CutPrefix(module.Path, "github.com/aws/aws-sdk-go-v2"); found {
			switch name {
			case "", "/service/s3", "/feature/s3/transfermanager":
				words = append(words, "aws-sdk-go-v2"+name+" "+module.Version)
			}
		}
	}
	return strings.Join(append(words, info.GoVersion), " ")
}

type client struct {
	service *s3.Client
	manager *transfermanager.Client
}

func (c client) putTree(ctx context.Context, bucket, prefix, dir string) error {
	out, err := c.manager.UploadDirectory(ctx, &transfermanager.UploadDirectoryInput{
		Bucket: &bucket, Source: &dir, KeyPrefix: &prefix, Recursive: aws.Bool(true),
	})
	if err != nil {
		return err
	}
	if out.ObjectsFailed != 0 {
		return fmt.Errorf("%d uploads failed", out.ObjectsFailed)
	}
	return nil
}

func (c client) getTree(ctx context.Context, bucket, prefix, dir string) error {
	out, err := c.manager.DownloadDirectory(ctx, &transfermanager.DownloadDirectoryInput{
		Bucket: &bucket, Destination: &dir, KeyPrefix: &prefix,
	})
	if err != nil {
		return err
	}
	if out.ObjectsFailed != 0 {
		return fmt.Errorf("%d downloads failed", out.ObjectsFailed)
	}
	return nil
}

func (c client) putFile(ctx context.Context, bucket, key, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = c.manager.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &bucket, Key: &key, Body: file})
	return err
}

func (c client) getFile(ctx context.Context, bucket, key, name string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = c.manager.DownloadObject(ctx, &transfermanager.DownloadObjectInput{Bucket: &bucket, Key: &key, WriterAt: file})
	return errors.Join(err, file.Close())
}

// pages calls fn with every page of the bucket's objects.
func (c client) pages(ctx context.Context, bucket string, fn func([]types.Object) error) error {
	pages := s3.NewListObjectsV2Paginator(c.service, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		if err := fn(page.Contents); err != nil {
			return err
		}
	}
	return nil
}

func (c client) list(ctx context.Context, bucket string) error {
	return c.pages(ctx, bucket, func(objects []types.Object) error {
		for _, object := range objects {
			fmt.Println(aws.ToString(object.Key))
		}
		return nil
	})
}

func (c client) remove(ctx context.Context, bucket string) error {
	err := c.pages(ctx, bucket, func(objects []types.Object) error {
		if len(objects) == 0 {
			return nil
		}
		var ids []types.ObjectIdentifier
		for _, object := range objects {
			ids = append(ids, types.ObjectIdentifier{Key: object.Key})
		}
		out, err := c.service.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: ids}})
		if err != nil {
			return err
		}
		if len(out.Errors) > 0 {
			return fmt.Errorf("%d deletes failed, the first with %s", len(out.Errors), aws.ToString(out.Errors[0].Code))
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = c.service.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
	return err
}
