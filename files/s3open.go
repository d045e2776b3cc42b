package files

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	// s3Connect is how long connecting to the store may take.
	s3Connect = 5 * time.Second
	// s3Silence is how long the store may neither receive nor send a byte.
	s3Silence = 30 * time.Second
	// s3Tries is how often a request is sent if the store is busy or its connection breaks.
	s3Tries = 3
)

const s3Form = "s3://bucket/prefix?endpoint=&region="

func openS3(address string) (*S3, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		return nil, fmt.Errorf("files-url is not %s", s3Form)
	}
	if u.User != nil {
		return nil, errors.New("files-url: keys belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, not in the URL")
	}
	query := u.Query()
	for key := range query {
		if key != "endpoint" && key != "region" {
			return nil, fmt.Errorf("files-url has %q; write it as %s", key, s3Form)
		}
	}
	region := first(query.Get("region"), os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")
	endpoint := first(query.Get("endpoint"), os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"))
	amazon := endpoint == ""
	if amazon {
		endpoint = "https://s3." + region + ".amazonaws.com"
	} else if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	host, err := url.Parse(endpoint)
	if err != nil || host.Host == "" || host.Scheme != "http" && host.Scheme != "https" || strings.Trim(host.Path, "/") != "" {
		return nil, fmt.Errorf("files-url: the endpoint %q is neither host:port nor http(s)://host:port", endpoint)
	}
	keys, err := s3Keys(amazon)
	if err != nil {
		return nil, err
	}
	client, err := minio.New(host.Host, &minio.Options{
		Creds:      keys,
		Secure:     host.Scheme == "https",
		Region:     region,
		Transport:  s3Transport(),
		MaxRetries: s3Tries,
	})
	if err != nil {
		return nil, fmt.Errorf("the place of files: %w", err)
	}
	prefix := strings.Trim(u.Path, "/")
	if prefix != "" {
		prefix += "/"
	}
	return &S3{client: minio.Core{Client: client}, bucket: u.Host, prefix: prefix, puts: make(chan struct{}, s3Puts)}, nil
}

// first returns the first non-empty one.
func first(of ...string) string {
	for _, s := range of {
		if s != "" {
			return s
		}
	}
	return ""
}

// s3Keys come from AWS's variables or its shared file or, within Amazon, from the machine's role.
func s3Keys(amazon bool) (*credentials.Credentials, error) {
	if !amazon {
		keys := credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}})
		if v, err := keys.GetWithContext(nil); err != nil || v.AccessKeyID == "" {
			return nil, errors.New("files-url has no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
		}
		return keys, nil
	}
	role := &credentials.IAM{Client: &http.Client{Timeout: s3Connect}}
	return credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, role}), nil
}

func s3Transport() *http.Transport {
	dialer := &net.Dialer{Timeout: s3Connect}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &livelyConn{c}, nil
		},
		TLSHandshakeTimeout: s3Connect,
		MaxIdleConnsPerHost: s3Puts,
		// Less than s3Silence, so that a pooled connection is not about to end.
		IdleConnTimeout:    s3Silence / 2,
		DisableCompression: true, // sizes and ranges are those of the blob
	}
}

// livelyConn ends after s3Silence without progress in either direction: a store that vanished would hold a request for
// a quarter of an hour. Uploads and downloads that make progress may take any time.
type livelyConn struct{ net.Conn }

func (c *livelyConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(s3Silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *livelyConn) Write(p []byte) (int, error) {
	// While a request is written, a read of the response waits too.
	if err := c.SetDeadline(time.Now().Add(s3Silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
