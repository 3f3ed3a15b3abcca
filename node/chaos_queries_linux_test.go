package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

const (
	inquiryLayer = bus.LayerID("division/440300")
	inquiryGrant = bus.GrantID("chaos-query")
	inquiryQuota = 8 // queries of a system that are let through for one case
	inquiryEvery = 100 * time.Millisecond
)

// inquirer asks a service at the provider's node, case after case, in each until it may
// ask no more. What it is not told it asks again, under the same id.
type inquirer struct {
	api     *client.Client
	id      string // of the query under way
	service *httptest.Server

	answers map[string]bool // that came, by correlation
	cases   int             // that were asked to their end
	wrong   []string

	mu     sync.Mutex
	served map[string]int // what the service was asked, by the key that it was given
}

// quota lets so many queries through for a case, and no more.
func quota() bus.Layer {
	return bus.Layer{ID: inquiryLayer, Modules: map[string]string{
		"quota.rego": fmt.Sprintf(`package gxbus.division.d440300

limits contains {"limit": %d, "per": "case", "key": "system"} if input.action == "query"
`, inquiryQuota),
		"quota_test.rego": `package gxbus.division.d440300_test

import data.gxbus.division.d440300 as city

test_queries_have_a_quota if count(city.limits) == 1 with input as {"action": "query"}

test_nothing_else_has if count(city.limits) == 0 with input as {"action": "forward"}
`,
	}}
}

// asks binds the resource to a service, with a quota of queries, and lets a department
// ask.
func (c *chaos) asks(at bus.NodeID, by bus.Department) *inquirer {
	c.t.Helper()
	q := &inquirer{answers: map[string]bool{}, served: map[string]int{}}
	q.service = httptest.NewServer(q)
	c.t.Cleanup(q.service.Close)
	security, err := c.SignIn(c.ctx, c.Nodes()[0], "secadmin")
	must(c.t, err)
	_, err = security.Grants().Put(c.ctx, sample.Grant(inquiryGrant, sample.EnterpriseRegistration(), by))
	must(c.t, err)
	layer, err := c.Enact(c.ctx, quota())
	must(c.t, err)
	c.waitLayer(inquiryLayer, layer.Revision)
	_, err = c.speaks("shenzhen", sample.ShenzhenMarket).PutBinding(c.ctx, binding.Binding{Resource: chaosResource, HTTP: &binding.HTTP{URL: q.service.URL}})
	must(c.t, err)
	q.api, err = client.New(client.Config{
		Server: c.Node(at).API, CAFile: c.Node(at).CA(), Token: c.bearers[by.ID].Bearer, Attempts: 1, Timeout: 5 * time.Second,
		RequestID: func() string { return q.id },
	})
	must(c.t, err)
	c.t.Cleanup(q.api.Close)
	q.id = "first"
	c.until("the grant to be known", func(ctx context.Context) error { return q.ask(ctx, "first") })
	return q
}

func (q *inquirer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if key := r.Header.Get(binding.HeaderKey); key != "" { // else it is asked whether it is there
		q.mu.Lock()
		q.served[key]++
		q.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `[{"uscc":"91440300MA5SAMPLE1","enterprise_name":"样例企业"}]`) // a node that has gone asks again
}

// run asks until ctx ends, and the case that is under way then to its end.
func (q *inquirer) run(ctx, forever context.Context) {
	tick := time.NewTicker(inquiryEvery)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		for asked := 0; ; asked++ {
			select {
			case <-tick.C:
			case <-forever.Done():
				return
			}
			q.id = fmt.Sprintf("case-%d-%d", n, asked)
			err := q.ask(forever, fmt.Sprint("case-", n))
			if client.IsCode(err, bus.CodeRateLimited) {
				if q.cases++; asked != inquiryQuota {
					q.wrong = append(q.wrong, fmt.Sprintf("%d queries of case %d were let through, of %d that may be", asked, n, inquiryQuota))
				}
				break
			}
			if err != nil {
				q.wrong = append(q.wrong, q.id+": "+err.Error())
				return
			}
		}
	}
}

// ask asks until it is answered, or told that it may not.
func (q *inquirer) ask(ctx context.Context, of string) error {
	for {
		answer, err := q.api.Query(ctx, chaosResource, client.Query{
			Grant: inquiryGrant, Purpose: bus.PurposeVerification, Matter: "440106001000", Case: of, Parameters: json.RawMessage(`{"uscc":"91440300MA5SAMPLE1"}`),
		})
		if err == nil && answer.Rows != 1 {
			return fmt.Errorf("%d rows", answer.Rows)
		}
		if err == nil {
			q.answers[answer.Correlation] = true
			return nil
		}
		for _, final := range []bus.Code{bus.CodeRateLimited, bus.CodeDenied, bus.CodeForbidden, bus.CodeRequestConflict, bus.CodeInvalid} {
			if client.IsCode(err, final) {
				return err
			}
		}
		if !pause(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// inquiry is how often a query is on record at a node.
type inquiry struct{ asked, answered int }

// accountQueries demands that each query counted once, however often it was asked, and
// that the service and both nodes know of those that were answered, and of no others.
func (c *chaos) accountQueries() {
	c.t.Helper()
	q, books := c.inquirer, map[bus.NodeID]map[string]inquiry{}
	c.eachLeaf(func(n *fleet.Node, r audit.Record) {
		if r.Kind != audit.KindAsked && r.Kind != audit.KindAnswered {
			return
		}
		if books[n.ID()] == nil {
			books[n.ID()] = map[string]inquiry{}
		}
		at := books[n.ID()][r.Correlation]
		if r.Kind == audit.KindAsked {
			at.asked++
		} else if r.Code == "" {
			at.answered++
		}
		books[n.ID()][r.Correlation] = at
	})
	if len(q.wrong) > 0 || q.cases == 0 {
		c.t.Errorf("of %d cases: %v", q.cases, q.wrong)
	}
	again := 0
	for correlation := range q.answers {
		asked, provided := books["guangzhou"][correlation], books["shenzhen"][correlation]
		if asked.answered == 0 || provided.answered == 0 || provided.asked > asked.asked || q.served[correlation] < provided.answered {
			c.t.Errorf("query %s: on record %+v where it was asked, %+v where it was answered; the service was asked %d times", correlation, asked, provided, q.served[correlation])
		}
		again += asked.asked - 1
	}
	for what, known := range map[string]int{"the service": len(q.served), "guangzhou": len(books["guangzhou"]), "shenzhen": len(books["shenzhen"])} {
		if known != len(q.answers) || len(books) != 2 {
			c.t.Errorf("%s knows %d queries, of %d; %d nodes have any", what, known, len(q.answers), len(books))
		}
	}
	c.t.Logf("%d queries of %d cases were answered; %d times one was asked again", len(q.answers), q.cases, again)
}

// eachLeaf shows the evidence of all nodes.
func (c *chaos) eachLeaf(show func(*fleet.Node, audit.Record)) {
	c.t.Helper()
	for _, n := range c.Nodes() {
		auditor, err := c.SignIn(context.Background(), n, "auditor")
		must(c.t, err)
		export, err := auditor.AuditExport(context.Background())
		must(c.t, err)
		leaves, err := audit.OpenExport(export)
		must(c.t, err)
		for {
			leaf, err := leaves.NextLeaf()
			if errors.Is(err, io.EOF) {
				break
			}
			must(c.t, err)
			show(n, leaf.Record)
		}
		must(c.t, export.Close())
	}
}
