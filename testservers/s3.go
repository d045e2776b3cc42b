package testservers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// S3 is an S3-compatible server (versitygw), whose buckets are folders.
type S3 struct {
	Port   int
	bin    string
	dir    string
	server *daemon
	log    bytes.Buffer
}

// S3Bucket is the bucket of a new server.
const S3Bucket = "tandem"

const (
	s3Key    = "tandem-test"
	s3Secret = "tandem-test-secret"
)

// S3Env returns the environment variables that give clients the server's keys.
func S3Env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + s3Key, "AWS_SECRET_ACCESS_KEY=" + s3Secret}
}

// StartS3 starts a server.
func StartS3() (*S3, error) {
	bin, err := versitygw()
	if err != nil {
		return nil, err
	}
	s := &S3{bin: bin}
	if s.Port, err = FreePort(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "tandem-s3-"); err != nil {
		return nil, err
	}
	for _, dir := range []string{s.sidecar(), filepath.Join(s.buckets(), S3Bucket)} {
		if err == nil {
			err = os.MkdirAll(dir, 0o700)
		}
	}
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		_ = os.RemoveAll(s.dir)
		return nil, err
	}
	return s, nil
}

// versitygw returns the path of the program, installed or built by scripts/setup.
func versitygw() (string, error) {
	if bin, err := exec.LookPath("versitygw"); err == nil {
		return bin, nil
	}
	cache, err := os.UserCacheDir()
	if err == nil {
		bin := filepath.Join(cache, "tandem", "versitygw")
		if _, err := os.Stat(bin); err == nil {
			return bin, nil
		}
	}
	return "", fmt.Errorf("versitygw %w", ErrMissing)
}

// NewS3 is like StartS3 for one test, at whose end it removes the server. It sets the keys in the test's environment,
// so the test cannot be parallel.
func NewS3(t testing.TB) *S3 {
	t.Helper()
	s, err := StartS3()
	Need(t, err)
	t.Cleanup(s.Remove)
	t.Setenv("AWS_ACCESS_KEY_ID", s3Key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3Secret)
	return s
}

func (s *S3) buckets() string { return filepath.Join(s.dir, "buckets") }

// sidecar returns the folder for the metadata of objects, since not every file system has extended attributes.
func (s *S3) sidecar() string { return filepath.Join(s.dir, "sidecar") }

// Start restarts the killed server with its data, and waits until it answers.
func (s *S3) Start() error {
	cmd := exec.Command(s.bin, "--port", s.Addr(), "--keep-alive", "--quiet", "--health", "/health",
		"posix", "--sidecar", s.sidecar(), s.buckets())
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + s3Key, "ROOT_SECRET_KEY=" + s3Secret}
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	var err error
	if s.server, err = start(cmd, syscall.SIGKILL); err != nil {
		return err
	}
	return s.server.await(&s.log, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Addr()+"/health", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
}

// Addr returns the server's host and port.
func (s *S3) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// URL returns the setting with which tandem uses prefix in the server's bucket.
func (s *S3) URL(prefix string) string {
	return "s3://" + S3Bucket + "/" + prefix + "?endpoint=" + url.QueryEscape("http://"+s.Addr())
}

// Objects returns the folder with the objects of the server's bucket.
func (s *S3) Objects() string { return filepath.Join(s.buckets(), S3Bucket) }

// Kill ends the server at once; Start restarts it.
func (s *S3) Kill() { s.server.end(syscall.SIGKILL) }

// Freeze stops the server from answering, until Thaw.
func (s *S3) Freeze() { s.server.freeze() }

// Thaw undoes Freeze.
func (s *S3) Thaw() { s.server.thaw() }

// Remove ends the server and removes its files.
func (s *S3) Remove() {
	s.Kill()
	_ = os.RemoveAll(s.dir)
}
