package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/doctor"
	"github.com/gxbus/gxbus/node/evidence"
	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/backup"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// unwell lists the checks that did not come out well.
func unwell(checks []client.Check) string {
	var names []string
	for _, c := range checks {
		if c.State == client.CheckFail || c.State == client.CheckWarn {
			names = append(names, string(c.State)+" "+c.Name+": "+c.Detail.EN)
		}
	}
	return strings.Join(names, "\n")
}

func TestDoctorOfARunningNode(t *testing.T) {
	ctx := context.Background()
	c := nodetest.Start(t, fleet.Province()[:2]...)
	for _, account := range []string{"sysadmin", "auditor"} {
		checks, err := c.Client(account).Doctor(ctx, account == "auditor")
		check(t, err)
		if bad := unwell(checks); bad != "" || len(checks) < 12 {
			t.Errorf("a node that is well: %d checks\n%s", len(checks), bad)
		}
	}
	c.Nodes["guangzhou"].Stop()
	checks, err := c.Client("sysadmin").Doctor(ctx, false)
	check(t, err)
	if bad := unwell(checks); !strings.Contains(bad, "fail peers") {
		t.Errorf("one of two voters is away: %s", bad)
	}
}

func TestDoctorOfAStoppedNode(t *testing.T) {
	ctx := context.Background()
	c := nodetest.Start(t, fleet.Province()[0])
	dir := c.First.Config.DataDir
	examine := func(full bool) ([]client.Check, string) {
		t.Helper()
		checks, err := server.Examine(ctx, server.DataDir(dir), full, 0, time.Now)
		check(t, err)
		return checks, unwell(checks)
	}
	if _, err := server.Examine(ctx, server.DataDir(dir), false, 0, time.Now); bus.CodeOf(err) != bus.CodeInUse {
		t.Errorf("while the node runs: %v", err)
	}
	c.First.Stop()
	for _, full := range []bool{false, true} {
		if checks, bad := examine(full); bad != "" || len(checks) < 15 || doctor.Failed(checks) {
			t.Errorf("a node that is well: %d checks\n%s", len(checks), bad)
		}
	}
	damage := func(name string, change func(path string)) {
		t.Helper()
		path := filepath.Join(dir, name)
		good, err := os.ReadFile(path)
		check(t, err)
		change(path)
		checks, bad := examine(false)
		if !doctor.Failed(checks) {
			t.Errorf("%s: %s", name, bad)
		}
		check(t, os.WriteFile(path, good, 0o600))
		check(t, os.Chmod(path, 0o600))
	}
	damage("node.key", func(path string) { check(t, os.Chmod(path, 0o644)) })
	damage("evidence.key", func(path string) { check(t, os.Remove(path)) })
	damage("exchange.db", func(path string) { check(t, scribble(path)) })
	damage("directory.db", func(path string) { check(t, scribble(path)) })
	damage("raft/log.db", func(path string) { check(t, os.Remove(path)) })
	c.First.Start() // and all is as it was
	if _, err := server.Examine(ctx, server.DataDir(t.TempDir()), false, 0, time.Now); bus.CodeOf(err) != bus.CodeNotInitialized {
		t.Errorf("where there is no node: %v", err)
	}
}

// scribble overwrites the middle of a file.
func scribble(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	junk := make([]byte, 40<<10)
	_, _ = rand.Read(junk) // never fails
	_, err = f.WriteAt(junk, 12<<10)
	return errors.Join(err, f.Close())
}

// S54: on a full disk reads go on, writes and events are answered 507, and all goes
// on by itself once there is room; nothing acknowledged is lost, and nothing took place
// without its evidence.
func TestS54_FullDiskIsAnsweredAndRecoveredFrom(t *testing.T) {
	ctx := context.Background()
	disk := smallDisk(t)
	c := nodetest.StartWith(t, nodetest.Options{Dir: disk, Reserve: 4 << 20}, fleet.Province()[0])
	admin, secadmin := c.Client("sysadmin"), c.Client("secadmin")
	check(t, putParties(ctx, admin))
	credential, err := admin.Systems().Rotate(ctx, sample.SystemOf(sample.ShenzhenMarket).ID, 0)
	check(t, err)
	provider := c.First.Client(credential.Bearer)
	resource := sample.EnterpriseRegistration()
	c.Publish(resource)
	_, err = secadmin.Grants().Put(ctx, sample.Grant("g", resource, sample.TianheServices))
	check(t, err)
	system := sample.SystemOf(sample.ShenzhenMarket)
	_, err = provider.Publish(ctx, resource.ID, sample.Event(system, 1))
	check(t, err)
	put := func(n int) error {
		_, err := admin.Departments().Put(ctx, bus.Department{ID: sample.USCC("440000", 800+n), Name: "满盘", Division: "440000"})
		return err
	}

	free := fillDisk(t, disk, 2<<20) // below the reserve
	nodetest.Eventually(t, "writes are refused", func() error {
		if err := put(1); !client.IsCode(err, bus.CodeStorageFull) {
			return errors.Join(errors.New("not yet"), err)
		}
		return nil
	})
	if _, err := provider.Publish(ctx, resource.ID, sample.Event(system, 2)); !client.IsCode(err, bus.CodeStorageFull) {
		t.Errorf("an event: %v", err)
	}
	if _, err := admin.Departments().List(ctx); err != nil {
		t.Errorf("a read: %v", err)
	}
	if _, err := secadmin.Grants().Revoke(ctx, "g", "示例"); err != nil {
		t.Errorf("a revocation within the reserve: %v", err)
	}
	free()
	nodetest.Eventually(t, "writes go on", func() error { return put(2) })

	free = fillDisk(t, disk, 0) // nothing at all
	acknowledged := 0
	nodetest.Eventually(t, "writes are refused", func() error { // one that still fits the file is kept, and may be acknowledged
		acknowledged++
		if err := put(100 + acknowledged); !client.IsCode(err, bus.CodeStorageFull) {
			return errors.Join(errors.New("not yet"), err)
		}
		return nil
	})
	var kept []bus.USCC // the node itself makes room now and then, when it merges files
	for n := range 20 {
		if put(10+n) == nil {
			kept = append(kept, sample.USCC("440000", 810+n))
		}
	}
	events := 0
	for n := range 20 {
		if _, err := provider.Publish(ctx, resource.ID, sample.Event(system, 100+n)); err == nil {
			events++
		}
	}
	if len(kept) > 10 {
		t.Errorf("%d of 20 writes were acknowledged on a full disk", len(kept))
	}
	if _, err := admin.Departments().List(ctx); err != nil {
		t.Errorf("a read: %v", err)
	}
	select {
	case err := <-c.First.Server.Failed():
		t.Fatal("the node stops: ", err)
	default:
	}
	free()
	nodetest.Eventually(t, "writes go on again", func() error { return put(3) })
	for _, id := range kept {
		if _, err := admin.Departments().Read(ctx, id); err != nil {
			t.Errorf("what was acknowledged on a full disk: %v", err)
		}
	}
	_, err = provider.Publish(ctx, resource.ID, sample.Event(system, 3))
	check(t, err)
	receipts, err := provider.Publish(ctx, resource.ID, sample.Event(system, 1))
	check(t, err)
	if !receipts[0].Duplicate {
		t.Error("what was acknowledged before is gone")
	}
	accepted := 0
	for _, r := range leavesOf(t, c.Client("auditor")) {
		if r.Kind == audit.KindAccepted {
			accepted += r.Events
		}
	}
	if accepted != events+2 { // the first and the last besides
		t.Errorf("%d events are on record as accepted, %d were acknowledged on the full disk and two besides", accepted, events)
	}
	if report, err := evidence.VerifyNode(ctx, c.Client("auditor")); err != nil || !report.Verified {
		t.Errorf("the evidence: %+v, %v", report, err)
	}
}

func putParties(ctx context.Context, admin *client.Client) error {
	for _, d := range []bus.Department{sample.ShenzhenMarket, sample.TianheServices} {
		if _, err := admin.Departments().Put(ctx, d); err != nil {
			return err
		}
		if _, err := admin.Systems().Put(ctx, sample.SystemOf(d)); err != nil {
			return err
		}
	}
	return nil
}

func TestBackupOfAStoppedNodeAndOneAtATime(t *testing.T) {
	ctx := context.Background()
	key, err := backup.NewKey()
	check(t, err)
	c := nodetest.Start(t, fleet.Province()[0])
	admin := c.Client("sysadmin")
	if _, _, err := admin.Backup(ctx, ""); !client.IsCode(err, bus.CodeInvalid) {
		t.Errorf("to no key: %v", err)
	}
	if _, _, err := admin.Backup(ctx, "gxr-public-nonsense"); !client.IsCode(err, bus.CodeInvalid) {
		t.Errorf("to nonsense: %v", err)
	}
	begun, goOn := make(chan struct{}), make(chan struct{})
	slow := writerFunc(func(p []byte) (int, error) {
		select {
		case <-begun:
		default:
			close(begun)
			<-goOn
		}
		return len(p), nil
	})
	done := make(chan error, 1)
	go func() { done <- c.First.Server.Backup(slow, key.Public()) }()
	<-begun
	if _, _, err := admin.Backup(ctx, key.Public().String()); !client.IsCode(err, bus.CodeInUse) {
		t.Errorf("a second at the same time: %v", err)
	}
	close(goOn)
	check(t, <-done)

	dir := server.DataDir(c.First.Config.DataDir)
	if err := server.BackupStopped(dir, "test", time.Now(), io.Discard, key.Public()); bus.CodeOf(err) != bus.CodeInUse {
		t.Errorf("offline while it runs: %v", err)
	}
	c.First.Stop()
	var file bytes.Buffer
	check(t, server.BackupStopped(dir, "test", time.Now(), &file, key.Public()))
	contents, err := backup.Verify(&file, &key)
	check(t, err)
	if contents.Node != "guangdong" || len(contents.Parts) < 7 || contents.Parts[0].Index == 0 || contents.Parts[1].Leaves == 0 {
		t.Errorf("%+v", contents)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
