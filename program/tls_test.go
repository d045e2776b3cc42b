package program

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/testservers"
)

// writeCertificate makes a certificate for 127.0.0.1 and its key, and returns their files and who trusts it.
func writeCertificate(t *testing.T, expires time.Time) (certFile, keyFile string, trust *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: expires,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, bytes []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", private), &tls.Config{RootCAs: pool}
}

// startTLS is startProgram with a certificate.
func startTLS(t *testing.T) *testProgram {
	t.Helper()
	cert, key, trust := writeCertificate(t, time.Now().Add(time.Hour))
	p := startProgram(t, func(cfg *Settings) { cfg.TLSCert, cfg.TLSKey = cert, key })
	p.tls, p.http.TLSClientConfig = trust, trust.Clone()
	return p
}

// Every transport works over TLS: a poll and a POST over HTTP/1.1, a stream over HTTP/2, a WebSocket.
func TestStreamsOverTLS(t *testing.T) {
	t.Parallel()
	p := startTLS(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	if !strings.HasPrefix(p.url, "https://") {
		t.Errorf("it is at %s", p.url)
	}
	onEach(t, func(t *testing.T, over transport) {
		ada, bob := ada.in(t), bob.in(t)
		s := ada.open(over, "room=lobby&history=1")
		s.opening()
		first := bob.post("lobby", "one over "+string(over))
		s.untilMessage(first.Message)
		s.close()
		missed := bob.post("lobby", "missed")
		again := ada.open(over, fmt.Sprintf("room=lobby&since=%d.%s", first.ID, s.open.Log))
		again.opening()
		if got := again.message("missed"); got.ID != missed.ID {
			t.Errorf("came %s", got.raw)
		}
	})
	// Streams over one connection: each ends alone, and the stop tells all.
	shared := p.transport(overH2)
	defer shared.CloseIdleConnections()
	for range 3 {
		req, _ := http.NewRequest("GET", p.url+"/v1/events?room=lobby", nil)
		req.Header.Set("Authorization", "Bearer "+ada.AccessToken)
		resp, err := shared.RoundTrip(req)
		if err != nil || resp.ProtoMajor != 2 {
			t.Fatalf("%v %v", resp, err)
		}
		next := sseEvents(resp.Body)
		if e, err := next(); err != nil || e.Type != "stream_open" {
			t.Fatalf("%s, %v", e.raw, err)
		}
		resp.Body.Close()
	}
	watch := ada.open(overH2, "room=lobby")
	watch.opening()
	p.stop(t)
	watch.assertClosed("restart", 0)
}

func TestCurlFollowsOverHTTP2(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		testservers.Need(t, fmt.Errorf("curl %w", testservers.ErrMissing))
	}
	p := startTLS(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	ada.post("lobby", "by curl")
	cmd := exec.Command(curl, "-sS", "-N", "-k", "--http2", "--max-time", "3", "-w", "version %{http_version}", "-H", "Accept: application/x-ndjson",
		"-H", "Authorization: Bearer "+ada.AccessToken, p.url+"/v1/events?room=lobby&history=1")
	out, _ := cmd.Output() // it ends by its own time
	if !strings.Contains(string(out), `"message":"by curl"`) || !strings.HasSuffix(string(out), "version 2") {
		t.Errorf("curl got %s", out)
	}
}

func TestCertificateThatDoesNotFitIsNamed(t *testing.T) {
	t.Parallel()
	cert, key, _ := writeCertificate(t, time.Now().Add(time.Hour))
	old, oldKey, _ := writeCertificate(t, time.Now().Add(-time.Hour))
	for name, test := range map[string]struct{ cert, key, want string }{
		"no key":      {cert, "", "tls-key"},
		"no cert":     {"", key, "tls-cert"},
		"no such":     {cert + "x", key, "tls-cert: "},
		"no such key": {cert, key + "x", "tls-key: "},
		"not a pair":  {cert, oldKey, "tls-cert and tls-key: "},
		"expired":     {old, oldKey, "tls-cert: it expired"},
	} {
		cfg := Defaults()
		cfg.DataDir, cfg.TLSCert, cfg.TLSKey = t.TempDir(), test.cert, test.key
		wrong := cfg.Check(readSpec(t))
		if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), test.want) {
			t.Errorf("%s: %v", name, wrong)
		}
	}
	cfg := Defaults()
	cfg.DataDir, cfg.TLSCert, cfg.TLSKey = t.TempDir(), cert, key
	if wrong := cfg.Check(readSpec(t)); len(wrong) != 0 {
		t.Errorf("a good pair: %v", wrong)
	}
}
