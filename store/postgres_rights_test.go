package store

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/chat"
	"tandem/testservers"
)

// asRole returns a database URL for another role, with more parameters.
func asRole(t *testing.T, address, role string, parameters ...string) place {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	u.RawQuery = strings.Join(append([]string{"sslmode=disable"}, parameters...), "&")
	return place{URL: u.String()}
}

// refused checks that a database cannot be opened, with a one-line error that has these words.
func (p place) refused(t *testing.T, words ...string) {
	t.Helper()
	s, err := p.try(Config{})
	if err == nil {
		_ = s.Close()
		t.Fatalf("the database opened; want an error with %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n") {
			t.Errorf("the error is %v; want one line with %q", err, word)
		}
	}
}

// writes checks that a store can do what a server needs: an account, a room, a post, an edit, a read marker.
func writes(t *testing.T, s *Store, name string) {
	t.Helper()
	u := addUser(t, s, name)
	r := makeRoom(t, s, u, "room-of-"+name)
	e, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "hi"), &chat.Key{Name: "k", Fingerprint: []byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), guardOf(u, r), chat.RoomTopic(r.ID), e.ID, message(u, r, "gone").Event); err != nil {
		t.Fatal(err)
	}
	if page, err := s.Messages(t.Context(), chat.RoomTopic(r.ID), chat.Page{Limit: 10}); err != nil || len(page.Events) == 0 {
		t.Fatalf("messages = %v, %v", page, err)
	}
}

// A role with its own schema needs no rights in public, whether the schema is set for the role or in the URL.
func TestPostgresSeparateSchema(t *testing.T) {
	t.Parallel()
	pg := testservers.NewPostgres(t, "fsync=off")
	for _, by := range []string{"role", "url"} {
		t.Run(by, func(t *testing.T) {
			database, err := pg.NewDatabase()
			if err != nil {
				t.Fatal(err)
			}
			role := "chat_" + by
			if err := pg.Exec(database, `CREATE ROLE `+role+` LOGIN`, `REVOKE ALL ON SCHEMA public FROM PUBLIC`); err != nil {
				t.Fatal(err)
			}
			asRole(t, pg.URL(database), role, "search_path=nowhere").refused(t, "search_path", "CREATE SCHEMA")
			if err := pg.Exec(database, `CREATE SCHEMA chat AUTHORIZATION `+role); err != nil {
				t.Fatal(err)
			}
			p := asRole(t, pg.URL(database), role, "options=-csearch_path%3Dchat")
			if by == "role" {
				if err := pg.Exec(database, `ALTER ROLE `+role+` SET search_path = chat`); err != nil {
					t.Fatal(err)
				}
				p = asRole(t, pg.URL(database), role)
			}
			for _, name := range []string{"ada", "bob"} { // also at the second start
				s := p.open(t, Config{})
				writes(t, s, name)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err := pg.Exec(database, `DO $$ BEGIN
				ASSERT (SELECT count(*) FROM pg_tables WHERE schemaname = 'chat') > 5;
				ASSERT NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public');
			END $$`); err != nil {
				t.Error(err)
			}
		})
	}
}

// A role that may not create tables can serve what their owner has migrated. Before that, or without rights on them, a
// one-line error says what to do.
func TestPostgresRoleThatOnlyServes(t *testing.T) {
	t.Parallel()
	pg := testservers.NewPostgres(t, "fsync=off")
	database, err := pg.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	if err := pg.Exec(database, `CREATE ROLE keeper LOGIN`, `CREATE ROLE waiter LOGIN`, `GRANT CREATE, USAGE ON SCHEMA public TO keeper`); err != nil {
		t.Fatal(err)
	}
	owner, server := asRole(t, pg.URL(database), "keeper"), asRole(t, pg.URL(database), "waiter")
	server.refused(t, "cannot create tables", "GRANT CREATE ON SCHEMA")
	if err := owner.open(t, Config{}).Close(); err != nil {
		t.Fatal(err)
	}
	server.refused(t, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES")
	if err := pg.Exec(database, `GRANT USAGE ON SCHEMA public TO waiter`, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO waiter`); err != nil {
		t.Fatal(err)
	}
	s := server.open(t, Config{})
	writes(t, s, "ada")
	before, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// The log's name is a row too: this role can record a takeover.
	if err := pg.Exec(database, `UPDATE log SET origin = 'another/00000001'`); err != nil {
		t.Fatal(err)
	}
	s = server.open(t, Config{})
	writes(t, s, "bob")
	if after, err := s.Head(t.Context()); err != nil || after.Name == before.Name {
		t.Errorf("log after a takeover = %+v, %v; before it was %+v", after, err, before)
	}
	// After an upgrade the error remains until the owner has migrated.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := pg.Exec(database, `DELETE FROM goose_db_version WHERE version_id >= 8`); err != nil {
		t.Fatal(err)
	}
	server.refused(t, "migrate", "owner")
}

// authority is a certificate authority for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(dir, name+".pem")}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert, a.key = issue(t, a, template, a.file, "")
	return a
}

// issue writes a certificate and its key. The authority signs it; without one it is self-signed.
func issue(t *testing.T, by *authority, template *x509.Certificate, certFile, keyFile string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := by.cert, by.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if file == "" {
			continue
		}
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// With sslmode=verify-full the server must match its certificate, or a one-line error says what to do.
func TestPostgresOverTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	right, wrong := newAuthority(t, dir, "right"), newAuthority(t, dir, "wrong")
	cert, key := filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
	issue(t, right, &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "database"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, cert, key)
	pg := testservers.NewPostgres(t, "fsync=off")
	database, err := pg.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	pg.Stop()
	if err := pg.EnableTLS(cert, key); err != nil {
		t.Fatal(err)
	}
	if err := pg.Start(); err != nil {
		t.Fatal(err)
	}
	at := func(host string, by *authority) place {
		return place{URL: fmt.Sprintf("postgres://postgres@%s/%s?sslmode=verify-full&sslrootcert=%s",
			net.JoinHostPort(host, fmt.Sprint(pg.Port)), database, url.QueryEscape(by.file))}
	}
	s := at("localhost", right).open(t, Config{})
	writes(t, s, "ada")
	if n, err := list(t.Context(), s, scanOne[string], `SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl`); err != nil || len(n) != 1 {
		t.Errorf("connection's TLS = %v, %v", n, err)
	}
	at("localhost", wrong).refused(t, "unknown authority", "sslrootcert")
	at("127.0.0.1", right).refused(t, "certificate", "host name")
}
