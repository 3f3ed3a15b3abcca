package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/binding/store"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/pgtest"
)

// file is a node's file without its group commit.
type file struct{ *bbolt.DB }

func (f file) Commit(_ context.Context, write func(*bbolt.Tx) error) error { return f.Update(write) }

func open(t *testing.T, path string, key identity.Secret) *store.Store {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	check(t, err)
	s, err := store.Open(t.Context(), store.Config{
		File: file{db}, Key: key, Guard: store.Guard{Loopback: true}, Now: time.Now,
		Append: func(_ *bbolt.Tx, r audit.Record) error {
			if strings.Contains(fmt.Sprintf("%+v", r), "canary") {
				t.Errorf("a record has a secret: %+v", r)
			}
			return nil
		},
	})
	check(t, err)
	t.Cleanup(func() { s.Close(); _ = db.Close() })
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const capital = bus.ResourceID("capital")

// sql binds the resource to a statement and asks it.
type sql struct {
	*testing.T
	kept *store.Store
	dsn  string
}

func (s sql) bind(statement string, timeout, rows int, names ...string) {
	s.Helper()
	b := binding.Binding{Resource: capital, Timeout: timeout, MaxRows: rows, PostgreSQL: &binding.PostgreSQL{DSN: s.dsn, Statement: statement}}
	for _, n := range names {
		b.PostgreSQL.Parameters = append(b.PostgreSQL.Parameters, binding.Parameter{Name: n})
	}
	_, err := s.kept.Put(s.Context(), bus.Principal{System: "s"}, "", b)
	check(s.T, err)
}

func (s sql) ask(parameters map[string]any) (string, error) {
	s.Helper()
	data, err := json.Marshal(parameters)
	check(s.T, err)
	answer, err := s.kept.Call(s.Context(), capital, binding.Call{Parameters: data})
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

func (s sql) want(want string, parameters map[string]any) {
	s.Helper()
	if got, err := s.ask(parameters); err != nil || got != want {
		s.Errorf("%v: got %s, %v, want %s", parameters, got, err, want)
	}
}

func (s sql) refused(code bus.Code, parameters map[string]any) {
	s.Helper()
	got, err := s.ask(parameters)
	if bus.CodeOf(err) != code {
		s.Errorf("%v: got %s, %v, want %s", parameters, got, err, code)
	}
	if err != nil && strings.Contains(err.Error(), "canary") {
		s.Errorf("an error has the password: %v", err)
	}
}

func TestAStatementInARealDatabase(t *testing.T) {
	server := pgtest.Start(t)
	server.SQL(`CREATE TABLE firms (uscc text, name text, capital numeric(12,2)); INSERT INTO firms VALUES ('a', '甲', 1.10), ('b', '乙"', NULL); CREATE SEQUENCE counter`)
	s := sql{t, open(t, filepath.Join(t.TempDir(), "x.db"), identity.NewSecret()), server.DSN}

	t.Run("values are bound and never part of it", func(t *testing.T) {
		s := sql{t, s.kept, s.dsn}
		s.bind("SELECT uscc, name, capital FROM firms WHERE uscc = @uscc -- the end", 0, 0, "uscc")
		s.want(`[{"uscc":"a","name":"甲","capital":1.10}]`, map[string]any{"uscc": "a"})
		s.want(`[{"uscc":"b","name":"乙\"","capital":null}]`, map[string]any{"uscc": "b"})
		for _, value := range []string{
			"'; DROP TABLE firms; --", "a' OR '1'='1", `\'; SELECT pg_sleep(9) --`, "$1", "@uscc", "a') AS answer; DROP TABLE firms; --", "a\x01", "{a,b}", "%",
		} {
			s.want(`[]`, map[string]any{"uscc": value})
		}
		s.refused(bus.CodeInvalid, map[string]any{"uscc": "a\x00"})
		s.refused(bus.CodeInvalid, map[string]any{})
		s.refused(bus.CodeInvalid, map[string]any{"uscc": "a", "other": 1})
		s.refused(bus.CodeInvalid, map[string]any{"uscc": []string{"a"}})
		s.bind("SELECT name FROM firms WHERE capital < @most LIMIT @n", 0, 0, "most", "n")
		s.want(`[{"name":"甲"}]`, map[string]any{"most": 1.5, "n": 3})
		s.refused(bus.CodeInvalid, map[string]any{"most": "1 OR 1=1", "n": 3})
		if n := server.SQL("SELECT count(*) FROM firms"); n != "2" {
			t.Errorf("%s rows are left", n)
		}
	})
	t.Run("nothing is written", func(t *testing.T) {
		s := sql{t, s.kept, s.dsn}
		for _, statement := range []string{
			"SELECT nextval('counter') AS n", "SELECT set_config('transaction_read_only', 'off', false) AS n", "WITH d AS (DELETE FROM firms RETURNING *) SELECT * FROM d",
			"SELECT 1 AS n; DROP TABLE firms", "SELECT 1) AS answer; DROP TABLE firms; SELECT 1 FROM (SELECT 1",
		} {
			s.bind(statement, 0, 0)
			s.refused(bus.CodeProviderUnreachable, nil)
		}
		if n := server.SQL("SELECT count(*) FROM firms"); n != "2" {
			t.Errorf("%s rows are left", n)
		}
	})
	t.Run("a slow statement ends in time, at the server too", func(t *testing.T) {
		s := sql{t, s.kept, s.dsn}
		s.bind("SELECT pg_sleep(60)::text AS n", 300, 0)
		began := time.Now()
		_, err := s.ask(nil)
		if code := bus.CodeOf(err); code != bus.CodeLate && err != context.DeadlineExceeded || time.Since(began) > 10*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		deadline := time.Now().Add(10 * time.Second)
		for server.SQL("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()") != "0" {
			if time.Now().After(deadline) {
				t.Fatal("it goes on at the server")
			}
		}
	})
	t.Run("of a million rows no more come than are passed on", func(t *testing.T) {
		s := sql{t, s.kept, s.dsn}
		s.bind("SELECT n, repeat('x', 1000) AS text FROM generate_series(1, 1000000) AS n", 0, 5000)
		body, err := s.ask(nil)
		check(t, err)
		var rows []map[string]any
		if err := json.Unmarshal([]byte(body), &rows); err != nil || len(rows) != 5001 { // one more, by which it is known that there are more
			t.Errorf("%d rows, %v", len(rows), err)
		}
	})
	t.Run("a restart in the middle is told, and got over", func(t *testing.T) {
		s := sql{t, s.kept, s.dsn}
		s.bind("SELECT n, repeat('x', 1000) AS text FROM generate_series(1, 1000000) AS n", binding.MaxTimeout, 1_000_000) // a busy machine restarts it slowly
		answer, err := s.kept.Call(t.Context(), capital, binding.Call{})
		check(t, err)
		_, err = io.CopyN(io.Discard, answer.Body, 1<<20)
		check(t, err)
		server.Restart()
		if _, err := io.Copy(io.Discard, answer.Body); bus.CodeOf(err) != bus.CodeProviderUnreachable {
			t.Errorf("the rest: %v", err)
		}
		check(t, answer.Body.Close())
		s.bind("SELECT name FROM firms WHERE uscc = @uscc", 0, 0, "uscc")
		s.want(`[{"name":"甲"}]`, map[string]any{"uscc": "a"})
		server.Restart()
		s.want(`[{"name":"甲"}]`, map[string]any{"uscc": "a"}) // its connections are stale
	})
	check(t, s.kept.Probe(t.Context(), capital))
}

// S44, S55: a binding is nothing without its key, and what may be shown of it shows
// nothing.
func TestS44ABindingIsSealed(t *testing.T) {
	path, key := filepath.Join(t.TempDir(), "x.db"), identity.NewSecret()
	secret := "canary-5c"
	b := binding.Binding{Resource: "firms", HTTP: &binding.HTTP{URL: "https://" + secret + ".example/" + secret, Headers: map[string]string{"X-Key": secret}}}
	db, err := bbolt.Open(path, 0o600, nil)
	check(t, err)
	config := store.Config{File: file{db}, Key: key, Now: time.Now, Append: func(*bbolt.Tx, audit.Record) error { return nil }}
	s, err := store.Open(t.Context(), config)
	check(t, err)
	shown, err := s.Put(t.Context(), bus.Principal{}, "", b)
	check(t, err)
	_, err = s.Call(t.Context(), "firms", binding.Call{})
	for _, told := range []any{shown, err, fmt.Sprintf("%+v", shown)} {
		if strings.Contains(fmt.Sprint(told), secret) {
			t.Errorf("told: %v", told)
		}
	}
	check(t, db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("bindings")).ForEach(func(_, sealed []byte) error {
			if strings.Contains(string(sealed), secret) {
				t.Error("the file has it")
			}
			return nil
		})
	}))
	config.Key = identity.NewSecret()
	other, err := store.Open(t.Context(), config)
	check(t, err)
	if _, err := other.Show("firms"); bus.CodeOf(err) != bus.CodeNotBound || strings.Contains(err.Error(), secret) {
		t.Errorf("with another key: %v", err)
	}
	b.Resource = "people"
	_, err = other.Put(t.Context(), bus.Principal{}, "", b)
	check(t, err)
	all, err := other.All() // one that cannot be read hides no other
	if check(t, err); len(all) != 2 || !all[0].Unreadable || all[0].Resource != "firms" || all[1].Unreadable || all[1].Kind != binding.KindHTTP {
		t.Errorf("all with another key: %+v", all)
	}
	b.Resource = "firms"
	_, err = other.Put(t.Context(), bus.Principal{}, "", b)
	check(t, err)
	if _, err := other.Show("firms"); err != nil {
		t.Errorf("put again: %v", err)
	}
	s.Close()
	check(t, db.Close())
}
