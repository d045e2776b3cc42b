package valkey

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valkey-io/valkey-go"

	"tandem/chat"
	"tandem/realtime"
	"tandem/testservers"
)

// listener is a node's bus and what it received.
type listener struct {
	*Bus
	mu    sync.Mutex
	heard []realtime.Message
}

// listen runs a node's bus until the test ends.
func listen(t *testing.T, url, node, secret string) *listener {
	t.Helper()
	l := &listener{Bus: NewBus(connect(t, url), node, []byte(secret), slog.New(slog.DiscardHandler))}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.Receive(ctx, func(m realtime.Message) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.heard = append(l.heard, m)
		})
	}()
	t.Cleanup(func() { cancel(); <-ended })
	eventually(t, "the node is subscribed", func() bool { return l.looks() > 0 })
	return l
}

// looks returns how often the node was notified that messages may be missing.
func (l *listener) looks() int {
	return l.count(func(m realtime.Message) bool { return m == (realtime.Message{}) })
}

// noises returns how often the node got a commit without a log: a reason to check the log, with no content to trust.
func (l *listener) noises() int {
	return l.count(func(m realtime.Message) bool { return m.Commit != nil && m.Commit.Log == "" })
}

func (l *listener) count(what func(realtime.Message) bool) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.heard {
		if what(m) {
			n++
		}
	}
	return n
}

// commits returns the event ids that the node received.
func (l *listener) commits() (ids []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.heard {
		if m.Commit != nil {
			for _, e := range m.Commit.Events {
				ids = append(ids, e.ID)
			}
		}
	}
	return ids
}

func commit(id int64) realtime.Message {
	return realtime.Message{Commit: &realtime.Commit{Log: "log", Events: []chat.Event{{ID: id, Topic: 2, Type: chat.TypeChatMessage, Body: `"x":1}`}}}}
}

// carries checks that messages from one node reach the other, and presence updates reach both.
func carries(t *testing.T, url string) {
	t.Helper()
	a, b := listen(t, url, "a", "secret"), listen(t, url, "b", "secret")
	a.Send(commit(7))
	eventually(t, "the other node receives the commit", func() bool { ids := b.commits(); return len(ids) == 1 && ids[0] == 7 })
	if ids := a.commits(); len(ids) != 1 {
		t.Errorf("commits received by their sender: got %d, want 1", len(ids))
	}
	update := realtime.Message{Presence: &realtime.PresenceUpdate{Node: "a", Kind: "alive"}}
	a.Send(update)
	for _, l := range []*listener{a, b} {
		eventually(t, "both nodes receive the presence update", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return slices.ContainsFunc(l.heard, func(m realtime.Message) bool { return m.Presence != nil })
		})
	}
	eventually(t, "the sender knows that it reached 2 nodes", func() bool {
		return a.count(func(m realtime.Message) bool { return m.Reached == 2 }) > 0
	})
}

func TestBusCarries(t *testing.T) { carries(t, testservers.NewValkey(t).URL()) }

func TestBusWithPassword(t *testing.T) {
	v := testservers.NewValkey(t, "--requirepass", "secret")
	carries(t, "valkey://:secret@"+v.Addr())
	refused := connect(t, "valkey://:wrong@"+v.Addr())
	time.Sleep(50 * time.Millisecond)
	if _, err := refused.publish(t.Context(), "x", "y"); err == nil {
		t.Error("publish with a wrong password: got nil, want an error")
	}
}

// The certificate is verified with the system's roots, or those in SSL_CERT_FILE.
func TestBusOverTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key)
	port, err := testservers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	testservers.NewValkey(t, "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "no", "--requirepass", "secret")
	t.Setenv("SSL_CERT_FILE", cert)
	carries(t, "valkeys://:secret@localhost:"+strconv.Itoa(port))
	stranger := connect(t, "valkeys://:secret@127.0.0.2:"+strconv.Itoa(port)) // a name that is not in the certificate
	time.Sleep(100 * time.Millisecond)
	if _, err := stranger.publish(t.Context(), "x", "y"); err == nil {
		t.Error("publish with a certificate for another name: got nil, want an error")
	}
}

// certificate is for localhost. Every run of the test uses it: Go reads SSL_CERT_FILE once per process.
var certificate = sync.OnceValues(func() (blocks [2]*pem.Block, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return blocks, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return blocks, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	return [2]*pem.Block{{Type: "CERTIFICATE", Bytes: cert}, {Type: "PRIVATE KEY", Bytes: private}}, err
})

func writeCertificate(t *testing.T, certFile, keyFile string) {
	t.Helper()
	blocks, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range []string{certFile, keyFile} {
		if err := os.WriteFile(file, pem.EncodeToMemory(blocks[i]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// raw is a plain Valkey client.
func raw(t *testing.T, addresses ...string) valkey.Client {
	t.Helper()
	c, err := valkey.NewClient(valkey.ClientOption{InitAddress: addresses, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// The cluster is one node with all slots, so the channel belongs to one of its shards.
func TestBusOverClusterWithShardedChannels(t *testing.T) {
	port, err := testservers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	// By default the cluster bus uses the port 10,000 above, which another process may have.
	v := testservers.NewValkey(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(port))
	c := raw(t, v.Addr())
	ask := func(words ...string) (string, error) {
		return c.Do(t.Context(), c.B().Arbitrary(words...).Build()).ToString()
	}
	if _, err := ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cluster's state is ok", func() bool {
		info, err := ask("CLUSTER", "INFO")
		return err == nil && strings.Contains(info, "cluster_state:ok")
	})
	carries(t, "valkey://"+v.Addr()+","+v.Addr())
	info, err := ask("INFO", "commandstats")
	if err != nil || !strings.Contains(info, "cmdstat_spublish") || strings.Contains(info, "cmdstat_publish:") {
		t.Errorf("INFO commandstats: got %v and\n%s\nwant SPUBLISH and no PUBLISH", err, info)
	}
}

// A sender without the secret can only make nodes check the log.
func TestUnsignedMessagesOnlyTriggerACheckOfTheLog(t *testing.T) {
	v := testservers.NewValkey(t)
	l := listen(t, v.URL(), "a", "secret")
	c := raw(t, v.Addr())
	text, err := json.Marshal(letter{From: "b", Messages: []realtime.Message{commit(66)}})
	if err != nil {
		t.Fatal(err)
	}
	tampered := sign(l.key, text)
	tampered[len(tampered)-1] ^= 1
	for _, message := range [][]byte{nil, []byte("hello"), bytes.Repeat([]byte("x"), 100), sign(derive([]byte("another"), "bus"), text), tampered} {
		before := l.noises()
		if err := c.Do(t.Context(), c.B().Publish().Channel(l.channel).Message(string(message)).Build()).Error(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the node checks the log", func() bool { return l.noises() == before+1 })
	}
	if ids := l.commits(); len(ids) > 0 {
		t.Errorf("commits signed by a stranger: got %v, want none", ids)
	}
}

// diary is a log of events that nobody publishes.
type diary struct {
	mu    sync.Mutex
	head  int64
	looks int // calls of Head
}

func (d *diary) looked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.looks
}

func (d *diary) add() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.head++
	return d.head
}

func (d *diary) Head(context.Context) (chat.LogState, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looks++
	return chat.LogState{Name: "log", Floor: 1, Head: d.head}, nil
}

func (d *diary) ReadAll(_ context.Context, after, upto int64, limit int) (events []chat.Event, _ error) {
	for id := after + 1; id <= upto && len(events) < limit; id++ {
		events = append(events, commit(id).Commit.Events...)
	}
	return events, nil
}

func (d *diary) Read(context.Context, []chat.TopicSince, int64, int) ([]chat.Event, error) {
	return nil, nil
}
func (d *diary) Start(context.Context, chat.Topic, int) (int64, error) { return 0, nil }
func (d *diary) Shared(context.Context, string) (int64, error)         { return 0, nil }
func (d *diary) Invisible(context.Context) ([]int64, error)            { return nil, nil }

func (d *diary) RoomFloors(context.Context) (map[int64]int64, error) { return map[int64]int64{}, nil }

func (d *diary) WasAnother(context.Context, string, int64) (bool, error) {
	return false, nil
}

// valkey-go resubscribes without notice, and messages sent meanwhile are lost. Each further confirmation makes the hub
// check the log. Nothing else makes it do so in this test.
func TestResubscriptionTriggersAPoll(t *testing.T) {
	v := testservers.NewValkey(t)
	log := &diary{}
	bus := NewBus(connect(t, v.URL()), "a", []byte("secret"), slog.New(slog.DiscardHandler))
	hub, err := realtime.New(t.Context(), log, nil, bus, realtime.Config{
		RingBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler), Node: "a", LookEvery: 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); hub.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	c := raw(t, v.Addr())
	// subscribed waits until the bus gets what is published, and so has had the confirmation, which came before.
	subscribed := func() {
		t.Helper()
		eventually(t, "the bus is subscribed", func() bool {
			before := log.looked()
			n, err := c.Do(t.Context(), c.B().Publish().Channel(bus.channel).Message("noise").Build()).AsInt64()
			if err != nil || n == 0 {
				return false
			}
			eventually(t, "the hub checks the log", func() bool { return log.looked() > before })
			return true
		})
		time.Sleep(50 * time.Millisecond) // until other messages have arrived too
	}
	subscribed()
	for range 3 {
		id := log.add() // from another node that died before it could publish it
		time.Sleep(20 * time.Millisecond)
		if head := hub.Stats().Head; head == id {
			t.Fatalf("head of the hub before it resubscribed: got %d, want less", id)
		}
		if err := c.Do(t.Context(), c.B().Arbitrary("CLIENT", "KILL", "TYPE", "pubsub").Build()).Error(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the hub finds the event in the log", func() bool { return hub.Stats().Head == id })
		subscribed()
	}
}
