package server_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/evidence"
	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/backup"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// Evidence that is old enough leaves the live file; traces, verification, doctor and
// backups go on over both, and a segment that is missing is named.
func TestOlderEvidenceIsInSegments(t *testing.T) {
	k := &clock{at: time.Now()}
	s := tellWith(t, nodetest.Options{Now: k.Now}, fleet.Province()[0])
	ctx := context.Background()
	for n := range 150 {
		s.publish(t, n, 1)
	}
	nodetest.Eventually(t, "a checkpoint covers it", func() error {
		if head := checkpointOf(t, s, "guangdong"); head.Size < 300 {
			return fmt.Errorf("%d leaves", head.Size)
		}
		return nil
	})
	k.advance(188 * 24 * time.Hour)
	check(t, s.First.Server.ArchiveEvidence(ctx))
	auditor := s.Client("auditor")
	segments, err := auditor.AuditSegments(ctx)
	check(t, err)
	if len(segments) != 1 || segments[0].First != 0 || segments[0].End < 256 || segments[0].Problem != "" {
		t.Fatalf("%+v", segments)
	}
	if report, err := evidence.VerifyNode(ctx, auditor); err != nil || !report.Verified {
		t.Errorf("%+v, %v", report, err)
	}
	trace, err := auditor.AuditTrace(ctx, sample.Event(s.system, 3).ID())
	if err != nil || len(trace.Steps) < 2 || trace.Steps[0].Leaf >= segments[0].End {
		t.Errorf("%+v, %v", trace, err)
	}
	if _, err := auditor.AuditPrune(ctx, k.Now()); !client.IsCode(err, bus.CodeInvalid) {
		t.Errorf("evidence within its retention: %v", err)
	}
	checks, err := s.Client("sysadmin").Doctor(ctx, true)
	if check(t, err); strings.Contains(unwell(checks), "evidence") {
		t.Errorf("doctor: %s", unwell(checks))
	}

	s.First.Stop()
	dir := server.DataDir(s.First.Config.DataDir)
	verifies := func(dir server.DataDir, want bool) string {
		t.Helper()
		report, err := server.VerifyEvidence(dir)
		if check(t, err); report.Verified != want {
			t.Errorf("%+v", report)
		}
		return report.Problem.EN
	}
	verifies(dir, true)
	path := filepath.Join(string(dir), "evidence", segments[0].File)
	check(t, os.Rename(path, path+".away"))
	if problem := verifies(dir, false); !strings.Contains(problem, segments[0].File) {
		t.Errorf("missing, and told as %q", problem)
	}
	check(t, os.Rename(path+".away", path))

	key, err := backup.NewKey()
	check(t, err)
	var file bytes.Buffer
	check(t, server.BackupStopped(dir, "test", k.Now(), &file, key.Public()))
	fresh := nodetest.NewNode(t, nodetest.Options{}, fleet.Province()[0])
	_, err = server.Restore(server.Restoration{
		Dir: server.DataDir(fresh.Config.DataDir), Archive: &file, Key: key, Now: k.Now(), PeerAddress: fresh.Config.PeerListen, APIAddress: fresh.Config.APIListen,
	})
	check(t, err)
	verifies(server.DataDir(fresh.Config.DataDir), true)
	if _, err := os.Stat(filepath.Join(fresh.Config.DataDir, "evidence", segments[0].File)); err != nil {
		t.Errorf("the restored node: %v", err)
	}
}
