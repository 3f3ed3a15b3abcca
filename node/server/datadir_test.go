package server_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"go.etcd.io/bbolt"
	"go.uber.org/goleak"
)

// refused wants an error with this code that tells of the field.
func refused(t *testing.T, err error, code bus.Code, field string) {
	t.Helper()
	var defects []bus.Defect
	if e, ok := errors.AsType[*bus.Error](err); ok {
		defects = e.Defects
	} else if p, ok := errors.AsType[*client.Problem](err); ok {
		defects = p.Defects
	}
	if !client.IsCode(err, code) {
		t.Fatalf("got %v, want %s", err, code)
	}
	for _, d := range defects {
		if strings.HasSuffix(d.Field, field) && d.Problem.ZH != "" && d.Problem.EN != "" {
			return
		}
	}
	t.Errorf("%v does not tell of %q in both languages", err, field)
}

func founded(t *testing.T) *nodetest.Node {
	t.Helper()
	n := nodetest.NewNode(t, nodetest.Options{}, fleet.Province()[0])
	_, err := server.Init(context.Background(), n.Founding())
	check(t, err)
	return n
}

func TestInitRefusesAUsedDirectoryAndLeavesItAlone(t *testing.T) {
	n := founded(t)
	before := files(t, n.Config.DataDir)
	_, err := server.Init(context.Background(), n.Founding())
	refused(t, err, bus.CodeAlreadyInitialized, "data_dir")
	if after := files(t, n.Config.DataDir); len(after) != len(before) {
		t.Errorf("files before %d, after %d", len(before), len(after))
	} else {
		for name, content := range before {
			if after[name] != content {
				t.Errorf("%s was changed", name)
			}
		}
	}
	other := nodetest.NewNode(t, nodetest.Options{}, fleet.Province()[0])
	check(t, os.MkdirAll(other.Config.DataDir, 0o700))
	check(t, os.WriteFile(filepath.Join(other.Config.DataDir, "somebody's"), nil, 0o600))
	_, err = server.Init(context.Background(), other.Founding())
	refused(t, err, bus.CodeAlreadyInitialized, "data_dir")
}

func TestInitTellsEveryDefectOfTheNode(t *testing.T) {
	_, err := server.Init(context.Background(), server.Founding{Dir: server.DataDir(t.TempDir()), Node: "Not OK", Division: "990000", PeerAddress: "x", APIAddress: "y:0"})
	for _, field := range []string{"id", "division", "peer_address", "api_address"} {
		refused(t, err, bus.CodeInvalid, field)
	}
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir(dir)
	check(t, err)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		check(t, err)
		found[e.Name()] = string(data)
	}
	return found
}

func TestFilesOfAnotherClusterAreRefused(t *testing.T) {
	foreign := founded(t)
	foreign.Start() // makes its databases
	foreign.Stop()
	for name, field := range map[string]string{
		"directory.db": "data_dir", "exchange.db": "origin", "node.crt": "data_dir", "node.key": "data_dir", "ca.crt": "data_dir",
		"evidence.key": "evidence.key", "node.json": "data_dir",
	} {
		t.Run(name, func(t *testing.T) {
			n := founded(t)
			data, err := os.ReadFile(filepath.Join(foreign.Config.DataDir, name))
			check(t, err)
			check(t, os.WriteFile(filepath.Join(n.Config.DataDir, name), data, 0o600))
			s, err := n.Open()
			if err == nil {
				check(t, s.Close())
			}
			refused(t, err, bus.CodeForeignCluster, field)
		})
	}
}

func TestS57AKeyThatOthersCanReadIsRefused(t *testing.T) {
	n := founded(t)
	for _, name := range []string{"node.key", "evidence.key", "ca.key"} {
		t.Run(name, func(t *testing.T) {
			check(t, os.Chmod(filepath.Join(n.Config.DataDir, name), 0o640))
			s, err := n.Open()
			if err == nil {
				check(t, s.Close())
			}
			refused(t, err, bus.CodeInvalid, name)
			check(t, os.Chmod(filepath.Join(n.Config.DataDir, name), 0o600))
		})
	}
	n.Start() // it was only that
}

func TestAnEmptyDirectoryIsNoNode(t *testing.T) {
	_, err := nodetest.NewNode(t, nodetest.Options{}, fleet.Province()[0]).Open()
	refused(t, err, bus.CodeNotInitialized, "data_dir")
}

func TestWhatIsInUseIsToldClearly(t *testing.T) {
	n := founded(t)
	n.Start()
	_, err := n.Open()
	refused(t, err, bus.CodeInUse, "data_dir")
	_, err = server.VerifyEvidence(server.DataDir(n.Config.DataDir))
	refused(t, err, bus.CodeInUse, "data_dir")
	second := founded(t)
	own := second.Config
	second.Config.APIListen = n.Config.APIListen
	_, err = second.Open()
	refused(t, err, bus.CodeInUse, "api_listen")
	second.Config = own
	second.Config.PeerListen = n.Config.PeerListen
	_, err = second.Open()
	refused(t, err, bus.CodeInUse, "peer_listen")
	second.Config = own
	second.Start() // nothing was left behind by the refusals
}

func TestANodeStopsCleanlyAndComesBackTheSame(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, ignore)
	t.Run("run", func(t *testing.T) {
		c := nodetest.StartWith(t, nodetest.Options{Checkpoints: 24 * time.Hour}, fleet.Province()[0])
		ctx := context.Background()
		before, err := c.Client("sysadmin").Status(ctx, true)
		check(t, err)
		c.First.Stop()
		c.First.Start()
		after, err := c.Client("sysadmin").Status(ctx, true)
		check(t, err)
		if before.AppliedIndex == after.AppliedIndex && before.StateHash != after.StateHash {
			t.Errorf("state %s came back as %s", before.StateHash, after.StateHash)
		}
		if after.Cluster != before.Cluster || after.AppliedIndex < before.AppliedIndex {
			t.Errorf("before %+v, after %+v", before, after)
		}
	})
}

func TestVerifyNamesALeafThatWasEdited(t *testing.T) {
	c := nodetest.Start(t, fleet.Province()[0])
	dir := server.DataDir(c.First.Config.DataDir)
	c.First.Stop()
	report, err := server.VerifyEvidence(dir)
	check(t, err)
	if !report.Verified || report.Leaves < 4 {
		t.Fatalf("untouched log: %+v", report)
	}
	const target = 2
	edit(t, dir.ExchangeFile(), target)
	report, err = server.VerifyEvidence(dir)
	check(t, err)
	if report.Verified || report.BadLeaf != target {
		t.Errorf("leaf %d was edited, the report says %+v", target, report)
	}
}

// edit changes one byte of a stored leaf.
func edit(t *testing.T, file string, leaf int) {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	check(t, err)
	defer func() { check(t, db.Close()) }()
	check(t, db.Update(func(tx *bbolt.Tx) error {
		leaves := tx.Bucket([]byte("evidence")).Bucket([]byte("leaves"))
		cursor := leaves.Cursor()
		key, value := cursor.First()
		for range leaf {
			key, value = cursor.Next()
		}
		changed := append([]byte(nil), value...)
		changed[len(changed)/2] ^= 1
		return leaves.Put(append([]byte(nil), key...), changed)
	}))
}
