package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/backup"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
)

// What a node keeps encrypted comes back with its backup, under keys of the new node: a
// binding is asked and sinks are delivered to, once people have let it.
func TestBindingsAndSinksComeBackWithABackup(t *testing.T) {
	ctx := context.Background()
	key, err := backup.NewKey()
	check(t, err)
	o := nodetest.Options{Config: func(c *server.Config) { c.WebhookNetworks = "127.0.0.0/8" }}
	s, in, to := tellWith(t, o, fleet.Province()[0]), newInlet(t), newService(t)
	open := withoutGrant(s)
	s.grant(t)
	_, err = s.provider.PutBinding(ctx, binding.Binding{
		Resource: s.resource.ID, HTTP: &binding.HTTP{URL: to.URL + "/firms/{name}", Headers: map[string]string{"Authorization": "Bearer " + canary}},
	})
	check(t, err)
	for id, of := range map[bus.SubscriptionID]bus.Subscription{"granted": {Resource: s.resource.ID, Grant: "grant-1"}, "open": {Resource: open.ID}} {
		of.ID, of.Purpose = id, bus.PurposeVerification
		_, err := s.consumer.Subscriptions().Put(ctx, of)
		check(t, err)
		_, err = s.consumer.Subscriptions().PutSink(ctx, id, bus.Sink{URL: in.URL + "/" + string(id), Authorization: "Bearer " + canary})
		check(t, err)
	}
	s.publish(t, 0, 1)
	_, err = s.provider.Publish(ctx, open.ID, sample.Event(s.system, 1))
	check(t, err)
	in.refused(t, "/granted", "/open") // both wait to be delivered when the backup is taken

	file := backedUp(t, s.Client("sysadmin"), key)
	s.First.Stop()
	in.accept()

	r, done := restored(t, o, s.First, bytes.NewReader(file), key)
	if len(done.Unreadable) > 0 {
		t.Errorf("unreadable: %v", done.Unreadable)
	}
	for _, name := range []string{"signing.key", "binding.key"} {
		former, err := os.ReadFile(filepath.Join(s.First.Config.DataDir, name))
		check(t, err)
		now, err := os.ReadFile(filepath.Join(r.node.Config.DataDir, name))
		if check(t, err); bytes.Equal(former, now) {
			t.Errorf("%s is that of the former node", name)
		}
	}
	check(t, r.as(t, "secadmin").Grants().Confirm(ctx, "grant-1"))
	if in.asked() || len(in.taken()) > 0 {
		t.Error("the endpoint of a system without a credential was called")
	}
	fresh, err := r.as(t, "sysadmin").Systems().Rotate(ctx, sample.SystemOf(sample.TianheServices).ID, 0)
	check(t, err)
	nodetest.Eventually(t, "what waited is delivered, with the sink's own secret", func() error {
		if got := in.taken(); !slices.Equal(got, []string{"/granted", "/open"}) {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
	_, err = r.node.Client(fresh.Bearer).Query(ctx, s.resource.ID, inquiry("list"))
	check(t, err)
	if got := to.last.Load().Header.Get("Authorization"); got != "Bearer "+canary {
		t.Errorf("the service was asked with %q", got)
	}

	t.Run("but for what was sealed with a key that is lost", func(t *testing.T) {
		dir, file := s.First.Config.DataDir, &bytes.Buffer{}
		check(t, errors.Join(os.Remove(filepath.Join(dir, "signing.key")), os.Remove(filepath.Join(dir, "binding.key"))))
		check(t, server.BackupStopped(server.DataDir(dir), "test", time.Now(), file, key.Public()))
		r, done := restored(t, o, s.First, file, key)
		if want := []string{"granted", "open", string(s.resource.ID)}; !slices.Equal(done.Unreadable, want) {
			t.Errorf("unreadable: %v, want %v", done.Unreadable, want)
		}
		all, err := r.as(t, "sysadmin").Bindings(ctx)
		if check(t, err); len(all) != 1 || !all[0].Unreadable || all[0].Resource != s.resource.ID {
			t.Errorf("bindings: %+v", all)
		}
	})
}

// withoutGrant publishes a resource that everybody may have.
func withoutGrant(s *story) bus.Resource {
	r := sample.EnterpriseRegistration()
	r.ID, r.Codes, r.Items = "open-registration", []bus.ResourceCode{"3010010001/000009"}, r.Items[:2]
	r.Sharing = bus.Sharing{Type: bus.Unconditional}
	s.Publish(r)
	return r
}

// restored starts a node out of a backup of another.
func restored(t *testing.T, o nodetest.Options, of *nodetest.Node, file io.Reader, key backup.PrivateKey) (*afterRestore, server.Restored) {
	t.Helper()
	fresh := nodetest.NewNode(t, o, of.Spec)
	done, err := server.Restore(server.Restoration{
		Dir: server.DataDir(fresh.Config.DataDir), Archive: file, Key: key, Now: time.Now(),
		PeerAddress: fresh.Config.PeerListen, APIAddress: fresh.Config.APIListen,
	})
	check(t, err)
	fresh.Start()
	return &afterRestore{node: fresh, passwords: done.Passwords}, done
}

// inlet is an endpoint of an agency that takes nothing before it is told to.
type inlet struct {
	*httptest.Server
	mu       sync.Mutex
	open     bool
	greeted  bool                     // asked whether it allows deliveries, since it is open
	answered map[bool]map[string]bool // whether it took it → path
}

func newInlet(t *testing.T) *inlet {
	in := &inlet{answered: map[bool]map[string]bool{false: {}, true: {}}}
	in.Server = httptest.NewServer(in)
	t.Cleanup(in.Close)
	return in
}

func (in *inlet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if r.Method == http.MethodOptions {
		in.greeted = in.open
		w.Header().Set("WebHook-Allowed-Origin", "*")
		return
	}
	takes := in.open && r.Header.Get("Authorization") == "Bearer "+canary
	if !takes {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	in.answered[takes][r.URL.Path] = true
}

func (in *inlet) accept() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.open = true
}

func (in *inlet) asked() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.greeted
}

// taken lists the paths at which something was taken.
func (in *inlet) taken() []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Sorted(maps.Keys(in.answered[true]))
}

// refused waits until something was refused at each path.
func (in *inlet) refused(t *testing.T, paths ...string) {
	t.Helper()
	nodetest.Eventually(t, "deliveries are refused", func() error {
		in.mu.Lock()
		defer in.mu.Unlock()
		if got := slices.Sorted(maps.Keys(in.answered[false])); !slices.Equal(got, paths) {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
}
