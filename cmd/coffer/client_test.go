package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// s3Main is a small S3 client for the scripts:
//
//	s3 METHOD PATH [BODY [FIELD…]]
//	                          one request with header fields, each “Name: value”;
//	                          prints the status, what the answer says of its
//	                          encryption, and the answer
//	s3 slow-put PATH SENT GO  begins to put 1 MiB, makes the file SENT when half
//	                          of it is on its way, and sends the rest when there
//	                          is a file GO
//
// It takes the address from ADDR, and the credentials from S3_USER and
// S3_PASSWORD or from root.credentials in ETC.
func s3Main() {
	if err := s3(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "s3:", err)
		os.Exit(1)
	}
}

func s3(args []string) error {
	method, path := args[0], args[1]
	var body io.Reader = strings.NewReader("")
	size := int64(0)
	switch {
	case method == "slow-put":
		slow := &slowBody{size: 1 << 20, sent: args[2], goOn: args[3]}
		method, body, size = http.MethodPut, slow, int64(slow.size)
	case len(args) > 2:
		body, size = strings.NewReader(args[2]), int64(len(args[2]))
	}
	req, err := http.NewRequest(method, "http://"+os.Getenv("ADDR")+path, body)
	if err != nil {
		return err
	}
	req.ContentLength = size
	for _, field := range args[min(3, len(args)):] {
		if name, value, ok := strings.Cut(field, ": "); ok {
			req.Header.Set(name, value)
		}
	}
	if err := sign(req); err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)
	for _, name := range []string{"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"} {
		if value := resp.Header.Get(name); value != "" {
			fmt.Printf("%s: %s\n", name, value)
		}
	}
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

// sign signs a request whose body is not part of the signature.
func sign(req *http.Request) error {
	credentials, err := s3Credentials()
	if err != nil {
		return err
	}
	return signBy(req, credentials)
}

func signBy(req *http.Request, credentials aws.Credentials) error {
	const unsigned = "UNSIGNED-PAYLOAD"
	req.Header.Set("X-Amz-Content-Sha256", unsigned)
	return v4.NewSigner().SignHTTP(context.Background(), credentials, req, unsigned, "s3", "us-east-1", time.Now())
}

func s3Credentials() (aws.Credentials, error) {
	if user := os.Getenv("S3_USER"); user != "" {
		return aws.Credentials{AccessKeyID: user, SecretAccessKey: os.Getenv("S3_PASSWORD")}, nil
	}
	return credentialsIn(os.Getenv("ETC"))
}

// credentialsIn reads the credentials that a first start has made.
func credentialsIn(etc string) (aws.Credentials, error) {
	text, err := os.ReadFile(filepath.Join(etc, "root.credentials"))
	if err != nil {
		return aws.Credentials{}, err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, "=")
		values[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return aws.Credentials{AccessKeyID: values["aws_access_key_id"], SecretAccessKey: values["aws_secret_access_key"]}, nil
}

// slowBody stops half-way until a file appears.
type slowBody struct {
	size, read int
	sent, goOn string
}

// Read implements io.Reader.
func (b *slowBody) Read(p []byte) (int, error) {
	if b.read == b.size {
		return 0, io.EOF
	}
	if b.read == b.size/2 {
		if err := b.pause(); err != nil {
			return 0, err
		}
	}
	n := min(len(p), b.size/2-b.read%(b.size/2))
	copy(p, bytes.Repeat([]byte("x"), n))
	b.read += n
	return n, nil
}

func (b *slowBody) pause() error {
	if err := os.WriteFile(b.sent, nil, 0o600); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(b.goOn); err == nil {
			return nil
		}
	}
	return errors.New("nobody said to go on")
}
