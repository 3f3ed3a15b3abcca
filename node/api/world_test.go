package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// Who calls, in tests.
const (
	nobody   = ""
	sysadmin = "sysadmin"
	secadmin = "secadmin"
	auditor  = "auditor"
	provider = "provider" // system of the resource's provider
	consumer = "consumer" // system of the department with a grant
	stranger = "stranger" // system of a third department
	operator = "operator" // account of the provider that compiles
	reviewer = "reviewer" // account of the data authority that reviews

	applicant = "applicant" // account of the consumer that files applications
	sharing   = "sharing"   // account of the provider's sharing office, which answers them
)

// world is a province's node with three departments, a resource, a grant and a
// subscription, whose clock stands still until it is moved.
type world struct {
	*nodetest.Cluster
	t       *testing.T
	http    *http.Client
	bearers map[string]string
	clock   *clock
	log     *journal
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, nodetest.Options{})
}

// newWorldWith is newWorld with options.
func newWorldWith(t *testing.T, o nodetest.Options) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{at: time.Now()}, log: &journal{}, bearers: map[string]string{nobody: ""}}
	o.Now, o.Log, o.Checkpoints = w.clock.Now, w.log, 24*time.Hour
	w.Cluster = nodetest.StartWith(t, o, fleet.Province()[0])
	w.http = &http.Client{Transport: &http.Transport{TLSClientConfig: w.First.TLS(), DisableCompression: true}}
	t.Cleanup(w.http.CloseIdleConnections)
	for _, account := range []string{sysadmin, secadmin, auditor} {
		w.bearers[account] = w.SignIn(w.First, account)
	}
	ctx := context.Background()
	admin := w.First.Client(w.bearers[sysadmin])
	for name, d := range map[string]bus.Department{provider: sample.ShenzhenMarket, consumer: sample.TianheServices, stranger: sample.GuangzhouHealth} {
		_, err := admin.Departments().Put(ctx, d)
		check(t, err)
		c, err := admin.Systems().Put(ctx, sample.SystemOf(d))
		check(t, err)
		w.bearers[name] = c.Bearer
	}
	resource := sample.EnterpriseRegistration()
	w.Publish(resource)
	w.bearers[reviewer] = w.SignIn(w.First, sample.Reviewer)
	w.bearers[operator] = w.AddAccount(bus.Account{Name: operator, Role: bus.RoleOperator, Department: sample.ShenzhenMarket.ID})
	w.bearers[applicant] = w.AddAccount(bus.Account{Name: applicant, Role: bus.RoleOperator, Department: sample.TianheServices.ID})
	w.bearers[sharing] = w.AddAccount(bus.Account{Name: sharing, Role: bus.RoleReviewer, Department: sample.ShenzhenMarket.ID})
	_, err := w.First.Client(w.bearers[secadmin]).Grants().Put(ctx, sample.Grant("grant-1", resource, sample.TianheServices))
	check(t, err)
	_, err = w.First.Client(w.bearers[consumer]).Subscriptions().Put(ctx, bus.Subscription{
		ID: "sub-1", Resource: resource.ID, Grant: "grant-1", Purpose: bus.PurposeAdministrativeBasis,
	})
	check(t, err)
	return w
}

// request is one call of the API as it goes over the wire.
type request struct {
	method, path, who string
	header            map[string]string // "" takes a default header away
	body              io.Reader
}

// reply is its answer.
type reply struct {
	status  int
	header  http.Header
	body    string
	problem client.Problem
}

const (
	create = "If-None-Match"
	change = "If-Match"
)

func (w *world) ask(r request) reply {
	w.t.Helper()
	q, err := http.NewRequest(r.method, "https://"+w.First.Config.APIListen+r.path, r.body)
	check(w.t, err)
	if r.body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	if bearer, ok := w.bearers[r.who]; !ok {
		w.t.Fatalf("nobody is called %q", r.who)
	} else if bearer != "" {
		q.Header.Set("Authorization", "Bearer "+bearer)
	}
	for name, value := range r.header {
		if q.Header.Del(name); value != "" {
			q.Header.Set(name, value)
		}
	}
	resp, err := w.http.Do(q)
	check(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(w.t, err)
	got := reply{status: resp.StatusCode, header: resp.Header, body: string(body)}
	if resp.StatusCode >= 300 {
		if media := resp.Header.Get("Content-Type"); media != "application/problem+json" {
			w.t.Errorf("%s %s: refused as %s, want a problem document: %s", r.method, r.path, media, body)
		}
		if err := json.Unmarshal(body, &got.problem); err != nil {
			w.t.Errorf("%s %s: problem document: %v", r.method, r.path, err)
		}
	}
	return got
}

// leaves returns the node's evidence.
func (w *world) leaves() []audit.Record {
	w.t.Helper()
	export := w.ask(request{method: "GET", path: "/api/v1/audit/export", who: auditor})
	if export.status != http.StatusOK {
		w.t.Fatalf("evidence export: %d %s", export.status, export.body)
	}
	var records []audit.Record
	for line := range strings.Lines(export.body) {
		var leaf struct{ Data []byte }
		var record audit.Record
		check(w.t, json.Unmarshal([]byte(line), &leaf))
		if leaf.Data != nil {
			check(w.t, json.Unmarshal(leaf.Data, &record))
			records = append(records, record)
		}
	}
	return records
}

// nouns is what the directory holds, as text.
func (w *world) nouns() string {
	w.t.Helper()
	var all strings.Builder
	for _, noun := range []string{"nodes", "departments", "systems", "resources", "drafts", "applications", "grants", "subscriptions", "accounts", "policies", "claims", "triggers", "libraries", "corrections", "disputes"} {
		got := w.ask(request{method: "GET", path: "/api/v1/" + noun, who: sysadmin})
		if got.status != http.StatusOK {
			w.t.Fatalf("list %s: %d %s", noun, got.status, got.body)
		}
		all.WriteString(noun + " " + got.body)
	}
	return all.String()
}

func text(s string) io.Reader { return strings.NewReader(s) }

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	check(t, err)
	return string(data)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// journal keeps what a node logs.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
