package server_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
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

// A province exchanges; a node is backed up under load; a grant is revoked; the
// backup is restored elsewhere. What was acknowledged before the backup is there,
// and what was revoked since lets nothing pass.
func TestABackupIsRestoredIntoANewClusterThatLetsNothingPass(t *testing.T) {
	ctx := context.Background()
	key, err := backup.NewKey()
	check(t, err)
	all := fleet.Province()
	s := tell(t, all[0], all[2], all[4]) // guangdong, shenzhen, nanshan
	shenzhen, nanshan := s.Nodes["shenzhen"], s.Nodes["nanshan"]
	s.consumer = nanshan.Client(s.bearers[sample.NanshanTax.ID])
	secadmin := s.Client("secadmin")
	for _, id := range []bus.GrantID{"kept", "revoked-since", "revoked-before"} {
		_, err := secadmin.Grants().Put(ctx, sample.Grant(id, s.resource, sample.NanshanTax))
		check(t, err)
		_, err = s.consumer.Subscriptions().Put(ctx, bus.Subscription{ID: bus.SubscriptionID(id), Resource: s.resource.ID, Grant: id, Purpose: bus.PurposeVerification})
		check(t, err)
	}
	_, err = secadmin.Grants().Revoke(ctx, "revoked-before", "示例")
	check(t, err)

	var file []byte
	before := s.underLoad(t, func() {
		file = backedUp(t, s.ClientAt(shenzhen, "sysadmin"), key)
	})
	_, err = secadmin.Grants().Revoke(ctx, "revoked-since", "示例")
	check(t, err)
	noSecrets(t, file, shenzhen.Config.DataDir, s)
	head := checkpointOf(t, s, "shenzhen")
	for _, n := range s.Nodes {
		n.Stop() // they are lost
	}

	fresh := nodetest.NewNode(t, nodetest.Options{}, fleet.Spec{ID: "shenzhen", Division: "440300"})
	restoration := server.Restoration{
		Dir: server.DataDir(fresh.Config.DataDir), Archive: bytes.NewReader(file), Key: key, Now: time.Now(),
		PeerAddress: fresh.Config.PeerListen, APIAddress: fresh.Config.APIListen,
	}
	dry := restoration
	dry.DryRun = true
	_, err = server.Restore(dry)
	check(t, err)
	if left, _ := os.ReadDir(filepath.Dir(fresh.Config.DataDir)); len(left) > 0 {
		t.Errorf("a dry run leaves %v", left)
	}
	restoration.Archive = bytes.NewReader(file)
	done, err := server.Restore(restoration)
	check(t, err)
	if done.Cluster == done.Backup.Cluster || done.Directory.Epoch != 1 || len(done.Passwords) != 4 ||
		!slices.Equal(done.Directory.Suspended, []bus.GrantID{"kept", "revoked-since"}) || !slices.Equal(done.Directory.Retired, []bus.NodeID{"guangdong", "nanshan"}) {
		t.Errorf("%+v", done)
	}
	if _, err := server.Restore(restoration); bus.CodeOf(err) != bus.CodeAlreadyInitialized {
		t.Errorf("over a node that is there: %v", err)
	}
	fresh.Start()
	r := &afterRestore{node: fresh, passwords: done.Passwords}
	r.check(t, s, before, head)
}

// underLoad publishes while fn runs and returns what was acknowledged before it began.
func (s *story) underLoad(t *testing.T, fn func()) (before []cloudevent.Event) {
	t.Helper()
	batch := func(n int) (events []cloudevent.Event) {
		for i := range 20 {
			events = append(events, sample.Event(s.system, 20*n+i))
		}
		return events
	}
	for n := range 10 {
		_, err := s.provider.Publish(context.Background(), s.resource.ID, batch(n)...)
		check(t, err)
		before = append(before, batch(n)...)
	}
	stop := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		for n := 10; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := s.provider.Publish(context.Background(), s.resource.ID, batch(n)...); err != nil {
				t.Error(err)
				return
			}
		}
	})
	fn()
	close(stop)
	load.Wait()
	return before
}

func checkpointOf(t *testing.T, s *story, node bus.NodeID) (head bus.Checkpoint) {
	t.Helper()
	api := s.Client("sysadmin")
	nodetest.Eventually(t, "the head of its evidence is known", func() error {
		checkpoints, err := api.Checkpoints(context.Background())
		if err != nil {
			return err
		}
		for _, c := range checkpoints {
			if c.Node == node && c.Size > 0 {
				head = c
				return nil
			}
		}
		return errors.New("not yet")
	})
	return head
}

// backedUp takes a backup of a node.
func backedUp(t *testing.T, sysadmin *client.Client, key backup.PrivateKey) []byte {
	t.Helper()
	var file bytes.Buffer
	stream, size, err := sysadmin.Backup(context.Background(), key.Public().String())
	check(t, err)
	_, err = io.Copy(&file, stream)
	check(t, errors.Join(err, stream.Close()))
	if size == 0 {
		t.Error("the node does not say how large the backup is about to be")
	}
	return file.Bytes()
}

// S55: a stolen backup holds nothing that opens anything.
func noSecrets(t *testing.T, file []byte, dir string, s *story) {
	t.Helper()
	canaries := map[string][]byte{"an event's person": []byte("19900000"), "a resource": []byte("enterprise-registration"), "a bearer": []byte(s.bearers[sample.ShenzhenMarket.ID])}
	for _, name := range []string{"node.key", "evidence.key"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		check(t, err)
		canaries[name] = bytes.TrimSpace(data)[30:60]
	}
	for what, canary := range canaries {
		if bytes.Contains(file, canary) {
			t.Errorf("S55: the backup shows %s", what)
		}
	}
	for at, rest := 0, file; len(rest) > 0; at, rest = at+1, file[at+1:] { // a gzip stream would hide a canary
		next := bytes.Index(rest, []byte{0x1f, 0x8b, 8})
		if next < 0 {
			break
		}
		at += next
		r, err := gzip.NewReader(bytes.NewReader(file[at:]))
		if err != nil {
			continue // what is sealed looks like the beginning of one now and then
		}
		if n, _ := io.CopyN(io.Discard, r, 1<<10); n == 1<<10 {
			t.Errorf("S55: something compressed in the open at byte %d", at)
		}
	}
}

// afterRestore looks at the node that came out of a backup.
type afterRestore struct {
	node      *nodetest.Node
	passwords []server.OneTime
}

// as signs in with the one-time password, the first time, and the one chosen then.
func (r *afterRestore) as(t *testing.T, account string) *client.Client {
	t.Helper()
	const chosen = "chosen-after-the-restore"
	for i, p := range r.passwords {
		if p.Account != account {
			continue
		}
		in := client.SignIn{Account: account, Password: p.Password}
		if p.Password != chosen {
			in.NewPassword = chosen
		}
		session, err := r.node.Client("").SignIn(context.Background(), in)
		check(t, err)
		r.passwords[i].Password = chosen
		return r.node.Client(session.Token)
	}
	t.Fatalf("no password for %s", account)
	return nil
}

func (r *afterRestore) check(t *testing.T, s *story, before []cloudevent.Event, head bus.Checkpoint) {
	t.Helper()
	ctx := context.Background()
	if _, err := r.node.Client(s.bearers[sample.ShenzhenMarket.ID]).Resources().List(ctx); !client.IsCode(err, bus.CodeUnauthenticated) {
		t.Errorf("a credential of before: %v", err)
	}
	if _, err := r.node.Client("").SignIn(ctx, client.SignIn{Account: "sysadmin", Password: s.Passwords["sysadmin"]}); !client.IsCode(err, bus.CodeUnauthenticated) {
		t.Errorf("a password of before: %v", err)
	}
	r.checkEvidence(t, head)

	sysadmin := r.as(t, "sysadmin")
	system := func(d bus.Department) *client.Client {
		fresh, err := sysadmin.Systems().Rotate(ctx, sample.SystemOf(d).ID, 0)
		check(t, err)
		return r.node.Client(fresh.Bearer)
	}
	provider, consumer := system(sample.ShenzhenMarket), system(sample.NanshanTax)
	receipts, err := provider.Publish(ctx, s.resource.ID, before...)
	check(t, err)
	for i, receipt := range receipts {
		if !receipt.Duplicate {
			t.Fatalf("event %d, acknowledged before the backup, is not there", i)
		}
	}

	late := sample.Event(s.system, 1_000_000) // arrives while the grants are suspended
	_, err = provider.Publish(ctx, s.resource.ID, late)
	check(t, err)

	held := func(id bus.SubscriptionID) {
		t.Helper()
		leaves := r.leaves(t)
		if slices.ContainsFunc(leaves, func(l audit.Record) bool {
			return l.Subscription == id && (l.Kind == audit.KindReceived || l.Kind == audit.KindDelivered) && l.At.After(restoredAt(leaves))
		}) {
			t.Errorf("%s: data passed", id)
		}
		events, _, err := consumer.Pull(ctx, id, 10)
		if len(events) > 0 || err != nil && !client.IsCode(err, bus.CodeUndecided) && !client.IsCode(err, bus.CodeDenied) {
			t.Errorf("%s: %d events, %v", id, len(events), err)
		}
	}
	nodetest.Eventually(t, "each subscription was decided on and held", func() error {
		for _, id := range []bus.SubscriptionID{"kept", "revoked-since"} {
			leaves := r.leaves(t)
			if !slices.ContainsFunc(leaves, func(l audit.Record) bool {
				return l.Subscription == id && l.Decision != nil && !l.Decision.Allow && l.At.After(restoredAt(leaves)) &&
					slices.ContainsFunc(l.Decision.Reasons, func(r bus.Reason) bool { return r.Code == "grant-suspended" })
			}) {
				return fmt.Errorf("%s: not yet", id)
			}
		}
		return nil
	})
	for _, id := range []bus.SubscriptionID{"kept", "revoked-since", "revoked-before"} {
		held(id)
	}

	check(t, r.as(t, "secadmin").Grants().Confirm(ctx, "kept"))
	got := 0
	nodetest.Eventually(t, "the confirmed grant's data arrives, what was held too", func() error {
		events, last, err := consumer.Pull(ctx, "kept", 1000)
		if err != nil {
			return err
		}
		if got += len(events); len(events) > 0 {
			check(t, consumer.Ack(ctx, "kept", last))
		}
		if slices.ContainsFunc(events, func(e cloudevent.Event) bool { return e.ID() == late.ID() }) {
			return nil
		}
		return fmt.Errorf("%d so far", got)
	})
	held("revoked-since")
	held("revoked-before")
	status, err := sysadmin.Status(ctx, false)
	check(t, err)
	if status.Epoch != 1 || status.Suspended != 1 {
		t.Errorf("epoch %d, %d suspended", status.Epoch, status.Suspended)
	}
	r.checkEvidence(t, head)
}

func restoredAt(leaves []audit.Record) time.Time {
	for _, l := range leaves {
		if l.Kind == audit.KindRestored {
			return l.At
		}
	}
	return time.Time{}
}

// checkEvidence verifies the log from outside, and that it tells of the one it was.
func (r *afterRestore) checkEvidence(t *testing.T, head bus.Checkpoint) {
	t.Helper()
	report, err := evidence.VerifyNode(context.Background(), r.as(t, "auditor"))
	check(t, err)
	if !report.Verified {
		t.Errorf("the evidence: %+v", report)
	}
	for _, l := range r.leaves(t) {
		if l.Restored == nil {
			continue
		}
		former, err := audit.OpenCheckpoint(l.Restored.Note, l.Restored.Origin, l.Restored.Key)
		if err != nil || former.Size != l.Restored.Size || former.Size == 0 {
			t.Errorf("the former head: %+v, %v", former, err)
		}
		if known, err := audit.OpenCheckpoint(head.Note, l.Restored.Origin, l.Restored.Key); err != nil || known.Size == 0 {
			t.Errorf("what the old cluster knew of the log is not of the key that the leaf names: %v", err)
		}
		return
	}
	t.Error("no leaf tells of the restore")
}

// leaves reads the whole evidence log.
func (r *afterRestore) leaves(t *testing.T) []audit.Record {
	t.Helper()
	return leavesOf(t, r.as(t, "auditor"))
}

func leavesOf(t *testing.T, auditor *client.Client) []audit.Record {
	t.Helper()
	export, err := auditor.AuditExport(context.Background())
	check(t, err)
	defer export.Close()
	var records []audit.Record
	decoder := json.NewDecoder(export)
	for {
		var line struct{ Data []byte }
		if err := decoder.Decode(&line); err == io.EOF {
			return records
		} else {
			check(t, err)
		}
		if line.Data != nil {
			var record audit.Record
			check(t, json.Unmarshal(line.Data, &record))
			records = append(records, record)
		}
	}
}
