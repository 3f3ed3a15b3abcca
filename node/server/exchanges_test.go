package server_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/event"
)

// exchanges reads all pages of the operational record.
func exchanges(t *testing.T, c *client.Client, q client.ExchangeQuery) (records []bus.ExchangeRecord, silent []bus.NodeID) {
	t.Helper()
	for page, err := range c.Exchanges(context.Background(), q) {
		check(t, err)
		records, silent = append(records, page.Items...), page.Silent
	}
	return records, silent
}

func inShort(records []bus.ExchangeRecord) (lines []string) {
	for _, r := range records {
		lines = append(lines, fmt.Sprint(r.Node, " ", r.Mode, " ", r.Status))
	}
	return lines
}

// Whoever asks, at whichever node, is told of each exchange once, with its times at both
// nodes; and the trace that a system began is on each of its records, at both.
func TestTheOperationalRecordIsOneOverAllNodes(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	s, to := bound(t, nodetest.Options{})
	ctx := context.Background()
	s.subscribe(t)
	traced := sample.Event(s.system, 2)
	traced.SetExtension(event.ExtTraceParent, "00-"+id+"-00f067aa0ba902b7-01")
	_, err := s.provider.Publish(ctx, s.resource.ID, sample.Event(s.system, 1), traced)
	check(t, err)
	got := s.receive(t, 2)
	if got[1].Extensions()[event.ExtTraceParent] != traced.Extensions()[event.ExtTraceParent] {
		t.Errorf("the consumer has trace %v", got[1].Extensions())
	}
	q := inquiry("list")
	q.TraceParent = "00-" + id + "-00f067aa0ba902b7-01"
	_, err = s.consumer.Query(ctx, s.resource.ID, q)
	check(t, err)
	if to.last.Load().Header.Get("Traceparent") != q.TraceParent {
		t.Error("the provider's service is not told of the trace")
	}

	auditor := s.Client("auditor")
	whole := []string{"shenzhen publish accepted", "shenzhen subscribe acknowledged", "tianhe query delivered"}
	all, silent := exchanges(t, auditor, client.ExchangeQuery{})
	if !slices.Equal(inShort(all), whole) || len(silent) > 0 {
		t.Fatalf("told of %q, silent %v, want %q", inShort(all), silent, whole)
	}
	for _, r := range all[1:] {
		points := []time.Time{r.Accepted, r.Received, r.Delivered}
		if slices.ContainsFunc(append(points, r.Forwarded), time.Time.IsZero) || !slices.IsSortedFunc(points, time.Time.Compare) || r.Mode == bus.ModeSubscribe && r.Acknowledged.Before(r.Delivered) {
			t.Errorf("its times do not stand together: %+v", r)
		}
		if r.Trace != id || r.Mode == bus.ModeQuery && (r.Case != "办件-1" || r.Correlation == "") || !r.AsOf.IsZero() {
			t.Errorf("told of %+v", r)
		}
	}
	for name, c := range map[string]struct {
		at   *client.Client
		q    client.ExchangeQuery
		want []string
	}{
		"in pages of one":         {auditor, client.ExchangeQuery{Limit: 1}, whole},
		"the provider":            {s.provider, client.ExchangeQuery{}, whole},
		"the consumer":            {s.consumer, client.ExchangeQuery{}, whole[1:]},
		"a stranger":              {s.at("guangzhou").Client(s.bearers[sample.GuangzhouHealth.ID]), client.ExchangeQuery{}, nil},
		"by how it stands":        {auditor, client.ExchangeQuery{Status: bus.ExchangeAcknowledged}, whole[1:2]},
		"by how it stood":         {auditor, client.ExchangeQuery{Status: bus.ExchangeForwarded}, nil},
		"by mode":                 {auditor, client.ExchangeQuery{Mode: bus.ModeQuery}, whole[2:]},
		"by case":                 {auditor, client.ExchangeQuery{Case: "办件-1"}, whole[2:]},
		"by grant":                {auditor, client.ExchangeQuery{Grant: "grant-1"}, whole[1:]},
		"by department":           {auditor, client.ExchangeQuery{Department: sample.TianheServices.ID}, whole[1:]},
		"by trace":                {auditor, client.ExchangeQuery{Trace: id}, whole},
		"by another trace":        {auditor, client.ExchangeQuery{Trace: "5" + id[1:]}, nil},
		"by fault":                {auditor, client.ExchangeQuery{Fault: bus.FaultNetwork}, nil},
		"at the provider's alone": {s.provider, client.ExchangeQuery{Here: true, Mode: bus.ModeQuery}, []string{"shenzhen query delivered"}},
		"at the consumer's alone": {s.consumer, client.ExchangeQuery{Here: true}, []string{"tianhe subscribe acknowledged", "tianhe query delivered"}},
	} {
		if told, _ := exchanges(t, c.at, c.q); !slices.Equal(inShort(told), c.want) {
			t.Errorf("%s is told of %q, want %q", name, inShort(told), c.want)
		}
	}
	records, _ := timeline(t, auditor, client.TraceQuery{Grant: "grant-1"})
	for _, node := range []bus.NodeID{"shenzhen", "tianhe"} {
		for _, kind := range []audit.Kind{audit.KindForwarded, audit.KindReceived, audit.KindDelivered, audit.KindAsked, audit.KindAnswered} {
			of := slices.DeleteFunc(slices.Clone(records), func(r audit.Record) bool { return r.Node != node || r.Kind != kind })
			if slices.ContainsFunc(of, func(r audit.Record) bool { return r.Trace != id }) {
				t.Errorf("of the trace nothing is on record as %s at %s", kind, node)
			}
		}
	}

	// S31: a county's node cannot speak for an administrator; of itself it tells him.
	county := s.ClientAt(s.Nodes["tianhe"], "auditor")
	for _, err := range county.Exchanges(ctx, client.ExchangeQuery{}) {
		if !client.IsCode(err, bus.CodeWrongNode) {
			t.Errorf("an auditor at a county's node: %v", err)
		}
	}
	if told, _ := exchanges(t, county, client.ExchangeQuery{Here: true, Mode: bus.ModeSubscribe}); len(told) != 1 {
		t.Errorf("of itself the county's node tells %q", inShort(told))
	}
	// A node that is away is named, and the other of an exchange tells what it has.
	s.Nodes["shenzhen"].Stop()
	told, silent := exchanges(t, auditor, client.ExchangeQuery{})
	if want := []string{"tianhe subscribe acknowledged", "tianhe query delivered"}; !slices.Equal(inShort(told), want) || !slices.Equal(silent, []bus.NodeID{"shenzhen"}) {
		t.Errorf("told of %q, silent %v", inShort(told), silent)
	}
	s.Nodes["shenzhen"].Start()
	s.byReceipt(t)
}

// byReceipt reads the record while the consumer's node is away.
func (s *story) byReceipt(t *testing.T) {
	provider := s.at("shenzhen").Client(s.bearers[sample.ShenzhenMarket.ID])
	nodetest.Eventually(t, "a receipt arrives", func() error {
		told, _ := exchanges(t, provider, client.ExchangeQuery{Here: true, Mode: bus.ModeSubscribe})
		if len(told) != 1 || told[0].Status != bus.ExchangeAcknowledged || told[0].AsOf.IsZero() {
			return errors.New(fmt.Sprint(told))
		}
		return nil
	})
	s.Nodes["tianhe"].Stop()
	told, silent := exchanges(t, provider, client.ExchangeQuery{Mode: bus.ModeSubscribe})
	if len(told) != 1 || told[0].Status != bus.ExchangeAcknowledged || told[0].AsOf.IsZero() || !slices.Equal(silent, []bus.NodeID{"tianhe"}) {
		t.Errorf("told of %+v, silent %v", told, silent)
	}
	s.Nodes["tianhe"].Start()
}
