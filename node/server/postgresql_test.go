package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/pgtest"
)

// archive is a story of two nodes whose resource is a statement in a real database.
type archive struct {
	*story
	database *pgtest.Server
	cases    int
}

func newArchive(t *testing.T) *archive {
	database := pgtest.Start(t)
	database.SQL(`CREATE TABLE firms (uscc text, enterprise_name text, phone text, internal_remark text);
		INSERT INTO firms VALUES ('a', '甲', '19900000001', '备注'), ('b', '乙', '19900000002', NULL)`)
	a := &archive{database: database, story: tellWith(t, nodetest.Options{Wait: binding.MaxTimeout * time.Millisecond},
		fleet.Spec{ID: "shenzhen", Division: "440300", Voter: true}, fleet.Spec{ID: "tianhe", Division: "440106"})}
	a.grant(t)
	nodetest.Eventually(t, "the consumer's node knows the grant", func() error {
		_, err := a.consumer.Grants().Read(context.Background(), "grant-1")
		return err
	})
	return a
}

// bind binds the resource to a statement; b says what else.
func (a *archive) bind(t *testing.T, b binding.Binding, statement string, names ...string) {
	t.Helper()
	b.Resource, b.PostgreSQL = a.resource.ID, &binding.PostgreSQL{DSN: a.database.DSN, Statement: statement}
	for _, n := range names {
		b.PostgreSQL.Parameters = append(b.PostgreSQL.Parameters, binding.Parameter{Name: n})
	}
	_, err := a.provider.PutBinding(context.Background(), b)
	check(t, err)
}

// inquiry is a query for a case of its own.
func (a *archive) inquiry(t *testing.T, parameters map[string]any) client.Query {
	t.Helper()
	a.cases++
	q := inquiry("")
	q.Case = fmt.Sprint("办件-库-", a.cases)
	var err error
	q.Parameters, err = json.Marshal(parameters)
	check(t, err)
	return q
}

// onRecord wants of a case's answer the same on record at both nodes, and that the
// operational record tells of it once. Of one that was cut off the nodes saw as many rows
// as had come.
func (a *archive) onRecord(t *testing.T, q client.Query, status bus.ExchangeStatus, want audit.Record) {
	t.Helper()
	auditor := a.Client("auditor")
	for _, node := range []bus.NodeID{"shenzhen", "tianhe"} {
		nodetest.Eventually(t, "the end of the answer is on record at "+string(node), func() error {
			steps, _ := timeline(t, auditor, client.TraceQuery{Case: q.Case})
			for _, r := range steps {
				if r.Node != node || r.Kind != audit.KindAnswered {
					continue
				}
				if want.Code == "" && r.Events != want.Events || r.Code != want.Code || r.Detail != want.Detail || r.Status != want.Status {
					t.Fatalf("at %s: %+v", node, r)
				}
				return nil
			}
			return fmt.Errorf("%d steps", len(steps))
		})
	}
	told, _ := exchanges(t, auditor, client.ExchangeQuery{Case: q.Case})
	if len(told) != 1 || told[0].Status != status || told[0].Fault != bus.FaultOf(want.Code) {
		t.Errorf("the operational record tells %+v", told)
	}
}

// A statement at the provider's node answers a query made at the consumer's.
func TestAStatementAnswersAcrossTwoNodes(t *testing.T) {
	a := newArchive(t)
	ctx := context.Background()
	const byUSCC = "SELECT uscc, enterprise_name, phone, internal_remark FROM firms WHERE uscc = @uscc"
	t.Run("masked, and without what is no item", func(t *testing.T) {
		a.bind(t, binding.Binding{}, byUSCC, "uscc")
		q := a.inquiry(t, map[string]any{"uscc": "a"})
		got, err := a.consumer.Query(ctx, a.resource.ID, q)
		check(t, err)
		if want := `[{"uscc":"a","enterprise_name":"甲","phone":"199****0001"}]`; string(got.Data) != want || got.Rows != 1 || got.Cut {
			t.Errorf("got %+v, %s", got, got.Data)
		}
		a.onRecord(t, q, bus.ExchangeDelivered, audit.Record{Events: 1, Status: http.StatusOK})
	})
	t.Run("a value is never part of it", func(t *testing.T) {
		for _, value := range []string{"'; DROP TABLE firms; --", "a' OR '1'='1", "a') AS answer; DROP TABLE firms; --", "@uscc"} {
			q := a.inquiry(t, map[string]any{"uscc": value})
			got, err := a.consumer.Query(ctx, a.resource.ID, q)
			if check(t, err); string(got.Data) != "[]" {
				t.Errorf("%s: %s", value, got.Data)
			}
			a.onRecord(t, q, bus.ExchangeDelivered, audit.Record{Status: http.StatusOK})
		}
		q := a.inquiry(t, map[string]any{"uscc": "a", "limit": "1; DROP TABLE firms"})
		if _, err := a.consumer.Query(ctx, a.resource.ID, q); !client.IsCode(err, bus.CodeInvalid) {
			t.Errorf("a parameter that is not listed: %v", err)
		}
		a.onRecord(t, q, bus.ExchangeFailed, audit.Record{Code: bus.CodeInvalid})
		if n := a.database.SQL("SELECT count(*) FROM firms"); n != "2" {
			t.Errorf("%s rows are left", n)
		}
	})
	t.Run("no more rows come than are passed on, and it is said", func(t *testing.T) {
		a.bind(t, binding.Binding{MaxRows: 5}, "SELECT n::text AS uscc FROM generate_series(1, 1000000) AS n")
		q := a.inquiry(t, nil)
		got, err := a.consumer.Query(ctx, a.resource.ID, q)
		if check(t, err); string(got.Data) != `[{"uscc":"1"},{"uscc":"2"},{"uscc":"3"},{"uscc":"4"},{"uscc":"5"}]` || got.Rows != 5 || !got.Cut {
			t.Errorf("got %+v, %s", got, got.Data)
		}
		a.onRecord(t, q, bus.ExchangeDelivered, audit.Record{Events: 5, Status: http.StatusOK, Detail: "cut at a cap"})
	})
	t.Run("the caller's deadline is the statement's", func(t *testing.T) {
		a.bind(t, binding.Binding{Timeout: binding.MaxTimeout}, "SELECT pg_sleep(600)::text AS uscc")
		q := a.inquiry(t, nil)
		q.Timeout = 5_000
		if _, err := a.consumer.Query(ctx, a.resource.ID, q); !client.IsCode(err, bus.CodeLate) {
			t.Errorf("late: %v", err)
		}
		nodetest.Eventually(t, "it ends at the server", func() error {
			if n := a.database.SQL("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"); n != "0" {
				return errors.New("it goes on")
			}
			return nil
		})
		a.onRecord(t, q, bus.ExchangeFailed, audit.Record{Code: bus.CodeLate})
	})
	t.Run("a server that restarts in the middle cuts the answer off, and the next is whole", func(t *testing.T) {
		a.bind(t, binding.Binding{Timeout: binding.MaxTimeout, MaxRows: binding.MaxRows, MaxBytes: binding.MaxBytes},
			"SELECT n::text AS uscc, repeat('x', 1000) AS enterprise_name FROM generate_series(1, 1000000) AS n")
		q := a.inquiry(t, nil)
		q.Timeout = binding.MaxTimeout
		answer := a.streamed(t, q)
		_, err := io.CopyN(io.Discard, answer, 1<<20)
		check(t, err)
		a.database.Restart()
		if _, err := io.Copy(io.Discard, answer); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the answer ends with %v", err)
		}
		a.onRecord(t, q, bus.ExchangeFailed, audit.Record{Code: bus.CodeProviderUnreachable, Status: http.StatusOK})

		a.bind(t, binding.Binding{}, byUSCC, "uscc")
		for range 2 { // the second time its connections are stale
			got, err := a.consumer.Query(ctx, a.resource.ID, a.inquiry(t, map[string]any{"uscc": "b"}))
			if check(t, err); string(got.Data) != `[{"uscc":"b","enterprise_name":"乙","phone":"199****0002"}]` {
				t.Errorf("after the restart: %s", got.Data)
			}
			a.database.Restart()
		}
	})
}

// streamed asks, and returns the body of the answer, which is on its way.
func (a *archive) streamed(t *testing.T, q client.Query) io.Reader {
	t.Helper()
	at := a.at("tianhe")
	body, err := json.Marshal(q)
	check(t, err)
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: at.TLS()}}
	t.Cleanup(web.CloseIdleConnections)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+at.Config.APIListen+"/api/v1/resources/"+string(a.resource.ID)+"/query", bytes.NewReader(body))
	check(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+a.bearers[sample.TianheServices.ID])
	answer, err := web.Do(r)
	check(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer.Body
}
