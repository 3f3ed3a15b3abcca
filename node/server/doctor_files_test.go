package server_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/client"
)

// A file that is over twice what it holds is told of while the node runs, and is small
// again after a restart.
func TestABloatedFileIsToldOfAndCompactedAtTheNextStart(t *testing.T) {
	ctx := context.Background()
	c := nodetest.Start(t, fleet.Province()[0])
	path := server.DataDir(c.First.Config.DataDir).ExchangeFile()
	bytes := func() int64 {
		t.Helper()
		info, err := os.Stat(path)
		check(t, err)
		return info.Size()
	}
	size := func() client.Check { return checkNamed(t, c, "size exchange.db") }
	if got := size(); got.State != client.CheckOK {
		t.Errorf("a new file: %+v", got)
	}
	scratch := []byte("scratch")
	check(t, c.First.Server.CommitExchange(ctx, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(scratch)
		if err != nil {
			return err
		}
		return b.Put(scratch, make([]byte, 20<<20))
	}))
	check(t, c.First.Server.CommitExchange(ctx, func(tx *bbolt.Tx) error { return tx.DeleteBucket(scratch) }))
	if got := size(); got.State != client.CheckWarn || !strings.Contains(got.Next.EN, "a restart compacts it") {
		t.Errorf("a bloated file: %+v", got)
	}
	if bytes() < 20<<20 {
		t.Fatalf("the file has %d bytes alone", bytes())
	}
	c.First.Stop()
	c.First.Start()
	if got := size(); got.State != client.CheckOK || bytes() > 8<<20 {
		t.Errorf("after a restart: %+v, %d bytes", got, bytes())
	}
}

func checkNamed(t *testing.T, c *nodetest.Cluster, name string) client.Check {
	t.Helper()
	checks, err := c.Client("sysadmin").Doctor(context.Background(), false)
	check(t, err)
	for _, c := range checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("nothing is said of %s: %+v", name, checks)
	return client.Check{}
}

// The index of the catalogue and the root are looked at, while the node runs and after.
func TestDoctorLooksAtTheSearchIndexAndTheRoot(t *testing.T) {
	c := tell(t, fleet.Province()[0]).Cluster // with a catalogue
	for _, name := range []string{"search index", "root certificate"} {
		if got := checkNamed(t, c, name); got.State != client.CheckOK {
			t.Errorf("%+v", got)
		}
	}
	c.First.Stop()
	dir := c.First.Config.DataDir
	stopped := func(now time.Time) string {
		t.Helper()
		checks, err := server.Examine(context.Background(), server.DataDir(dir), false, 0, func() time.Time { return now })
		check(t, err)
		return unwell(checks)
	}
	if bad := stopped(time.Now()); bad != "" {
		t.Errorf("a node that is well: %s", bad)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "search", "*.zap"))
	check(t, err)
	if len(segments) == 0 {
		t.Fatal("the index has no files")
	}
	check(t, os.WriteFile(segments[0], []byte("damage"), 0o600))
	if bad := stopped(time.Now()); !strings.Contains(bad, "warn search index: the index is damaged") {
		t.Errorf("with a damaged index: %s", bad)
	}
	check(t, os.RemoveAll(filepath.Join(dir, "search")))
	if bad := stopped(time.Now()); !strings.Contains(bad, "warn search index: missing") {
		t.Errorf("without an index: %s", bad)
	}
}
