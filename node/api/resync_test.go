package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/backup"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// restored is the world's node restored from a backup of it: the changes of before
// are no longer kept.
func (w *world) restored() *world {
	t := w.t
	t.Helper()
	key, err := backup.NewKey()
	check(t, err)
	stream, _, err := w.First.Client(w.bearers[sysadmin]).Backup(context.Background(), key.Public().String())
	check(t, err)
	defer stream.Close()
	archive, err := io.ReadAll(stream)
	check(t, err)
	w.First.Stop()
	fresh := nodetest.NewNode(t, nodetest.Options{}, fleet.Province()[0])
	done, err := server.Restore(server.Restoration{
		Dir: server.DataDir(fresh.Config.DataDir), Archive: bytes.NewReader(archive), Key: key, Now: time.Now(),
		PeerAddress: fresh.Config.PeerListen, APIAddress: fresh.Config.APIListen,
	})
	check(t, err)
	fresh.Start()
	after := &world{Cluster: &nodetest.Cluster{First: fresh}, t: t, bearers: map[string]string{}}
	after.http = &http.Client{Transport: &http.Transport{TLSClientConfig: fresh.TLS(), DisableCompression: true}}
	t.Cleanup(after.http.CloseIdleConnections)
	for _, p := range done.Passwords {
		if p.Account == sysadmin {
			session, err := fresh.Client("").SignIn(context.Background(), client.SignIn{Account: sysadmin, Password: p.Password, NewPassword: "chosen-after-the-restore"})
			check(t, err)
			after.bearers[sysadmin] = session.Token
		}
	}
	return after
}

func TestWhoFollowsFromChangesNoLongerKeptMustReadAnew(t *testing.T) {
	before := newWorld(t)
	_, last := before.changes(sysadmin, "wait=0")
	from := last.header.Get(client.HeaderIndex)
	w := before.restored()

	floor := ""
	for name, r := range map[string]request{
		"a batch":          {path: "?from=" + from + "&wait=0"},
		"a batch of kinds": {path: "?from=" + from + "&kind=grant&wait=0"},
		"a stream":         {path: "?from=" + from, header: map[string]string{"Accept": "text/event-stream"}},
		"a stream resumed": {header: map[string]string{"Accept": "text/event-stream", "Last-Event-ID": from}},
	} {
		r.method, r.path, r.who = "GET", "/api/v1/changes"+r.path, sysadmin
		got := w.ask(r)
		if got.status != http.StatusGone || got.problem.Code != bus.CodeResync || len(got.problem.Defects) != 1 {
			t.Fatalf("%s: %d %s", name, got.status, got.body)
		}
		d := got.problem.Defects[0]
		var ok bool
		if floor, ok = strings.CutSuffix(d.Allowed, " or later"); !ok || d.Field != "from" || !strings.Contains(d.Problem.EN, "Gxbus-Index") || !strings.Contains(d.Problem.ZH, "Gxbus-Index") {
			t.Errorf("%s is told %+v", name, d)
		}
	}

	// The client says so too; what it says to do works.
	c := w.First.Client(w.bearers[sysadmin])
	var index bus.Revision
	_, err := fmt.Sscan(from, &index)
	check(t, err)
	n := 0
	for change, err := range c.Watch(context.Background(), index) {
		if n++; !client.IsCode(err, bus.CodeResync) {
			t.Fatalf("%+v, %v", change, err)
		}
	}
	if n != 1 {
		t.Errorf("the client tells %d things", n)
	}
	listed := w.ask(request{method: "GET", path: "/api/v1/departments", who: sysadmin}).header.Get(client.HeaderIndex)
	_, err = c.Departments().Put(context.Background(), sample.NanshanTax)
	check(t, err)
	for _, start := range []string{floor, listed} {
		events, got := w.changes(sysadmin, "from="+start+"&kind=department")
		if got.status != http.StatusOK || len(events) != 1 || events[0].Subject != string(sample.NanshanTax.ID) {
			t.Errorf("from %s: %d %s", start, got.status, got.body)
		}
	}
}
