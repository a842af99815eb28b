package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

func main() {
	endpoint := flag.String("url", "http://127.0.0.1:9000", "the server")
	accessKey := flag.String("access-key", "", "access key of an administrator")
	secretFile := flag.String("secret-key-file", "", "file of its secret key")
	flag.Parse()
	secret, err := os.ReadFile(*secretFile)
	if err == nil {
		a := admin{*endpoint, aws.Credentials{AccessKeyID: *accessKey, SecretAccessKey: strings.TrimSpace(string(secret))}}
		err = run(context.Background(), os.Stdout, a)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "adminapi:", err)
		os.Exit(1)
	}
}

// admin is a server and who asks it.
type admin struct {
	url         string
	credentials aws.Credentials
}

// refusal is what the server says when it does not do what it was asked.
type refusal struct {
	Status      int    `json:"-"`
	Code        string `json:"code"`
	Message     string `json:"message"`
	Description string `json:"description"`
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.Status, r.Code, r.Message) }

// call signs a request and decodes the answer. Names of the query are sorted, as
// the signature wants them, by url.Values.
func (a admin) call(ctx context.Context, method, route string, query url.Values, body, into any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	target := a.url + "/rustfs/admin/v3/" + route + "?" + query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(text))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	hash := hex.EncodeToString(sum[:])
	request.Header.Set("X-Amz-Content-Sha256", hash)
	if err := v4.NewSigner().SignHTTP(ctx, a.credentials, request, hash, "s3", "us-east-1", time.Now()); err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		r := &refusal{Status: response.StatusCode}
		return errors.Join(json.Unmarshal(answer, r), r)
	}
	return json.Unmarshal(answer, into)
}

// key is what is shown of a key.
type key struct {
	ID        string `json:"key_id"`
	Status    string `json:"status"`
	Algorithm string `json:"algorithm"`
	Version   int    `json:"version"`
}

const keyName = "example-key"

func run(ctx context.Context, out io.Writer, a admin) error {
	var status struct {
		Backend string `json:"backend"`
		Healthy bool   `json:"healthy"`
	}
	if err := a.call(ctx, "GET", "kms/status", nil, nil, &status); err != nil {
		return err
	}
	fmt.Fprintf(out, "backend %s, healthy: %v\n", status.Backend, status.Healthy)
	if err := list(ctx, out, a); err != nil {
		return err
	}
	named := url.Values{"keyName": {keyName}}
	var made key
	err := a.call(ctx, "POST", "kms/key/create", url.Values{"keyName": {keyName}, "algorithm": {"AES-256"}}, nil, &made)
	if r := new(refusal); errors.As(err, &r) && r.Code == "KeyAlreadyExists" {
		fmt.Fprintln(out, "it is there already")
	} else if err != nil {
		return err
	}
	for _, step := range []struct{ method, route string }{
		{"GET", "kms/key/status"}, {"PUT", "kms/key/disable"}, {"GET", "kms/key/status"},
		{"PUT", "kms/key/enable"}, {"POST", "kms/key/rotate"}, {"GET", "kms/key/status"},
	} {
		var k key
		err := a.call(ctx, step.method, step.route, named, nil, &k)
		if r := new(refusal); errors.As(err, &r) && r.Code == "NotImplemented" { // Transit cannot disable
			fmt.Fprintln(out, r)
			continue
		}
		if err != nil {
			return err
		}
		if step.method == "GET" {
			fmt.Fprintf(out, "%s: %s, %s, version %d\n", k.ID, k.Status, k.Algorithm, k.Version)
		}
	}
	err = a.call(ctx, "GET", "kms/key/status", url.Values{"keyName": {"absent"}}, nil, new(key))
	fmt.Fprintf(out, "an absent key: %v\n", err)
	return list(ctx, out, a)
}

func list(ctx context.Context, out io.Writer, a admin) error {
	var page struct {
		Keys []key `json:"keys"`
	}
	if err := a.call(ctx, "GET", "kms/key/list", nil, nil, &page); err != nil {
		return err
	}
	names := make([]string, len(page.Keys))
	for i, k := range page.Keys {
		names[i] = k.ID
	}
	fmt.Fprintf(out, "%d keys: %s\n", len(names), strings.Join(names, ", "))
	return nil
}
