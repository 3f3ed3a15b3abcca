package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/raced"
)

const block = 256

// aged is a log of four blocks and a bit, a leaf a minute, every third a decision, with
// an archive that is still empty. It is signed in the middle of a block and at its end.
type aged struct {
	*fixture
	dir   string
	held  []bus.Checkpoint
	whole []byte // the log's leaves, as they were appended
}

func newAged(t *testing.T) *aged { return newAgedOf(t, "办件-") }

// newAgedOf is newAged with other case numbers.
func newAgedOf(t *testing.T, cases string) *aged {
	a := &aged{fixture: newFixture(t), dir: filepath.Join(t.TempDir(), "evidence")}
	for _, size := range []int{300, 4*block + 10 - 300} {
		batch := make([]audit.Record, size)
		for i := range batch {
			n := i
			if len(a.held) > 0 {
				n += 300
			}
			batch[i] = forwarded(uint64(10*n+1), uint64(10*n+10))
			if n%3 == 0 {
				batch[i] = decided(fmt.Sprint("d-", n))
			}
			batch[i].At, batch[i].Case = noon.Add(time.Duration(n)*time.Minute), fmt.Sprint(cases, n%100)
		}
		a.append(batch...)
		a.held = append(a.held, a.checkpoint())
	}
	a.reopen()
	a.whole = a.leaves()
	return a
}

// reopen is what a restart does.
func (a *aged) reopen() {
	a.Helper()
	archive, err := audit.OpenArchive(a.dir)
	if err != nil {
		a.Fatal(err)
	}
	a.log.Attach(archive)
}

// leaves reads every leaf that is not about the archive, in order.
func (a *aged) leaves() []byte {
	a.Helper()
	var all bytes.Buffer
	a.view(func(tx *bbolt.Tx) error {
		for leaf, err := range a.log.Records(tx, 0, 1<<40) {
			if err != nil {
				return err
			}
			if leaf.Record.Segment == nil {
				fmt.Fprintln(&all, leaf.Index, string(encoded(leaf.Record)))
			}
		}
		return nil
	})
	return all.Bytes()
}

func (a *aged) seal(first, end int64) (s audit.Segment) {
	a.Helper()
	a.view(func(tx *bbolt.Tx) (err error) {
		s, err = a.log.Seal(tx, a.key, first, end)
		return err
	})
	return s
}

func (a *aged) commit(s audit.Segment) {
	a.Helper()
	a.update(func(tx *bbolt.Tx) error { return a.log.Archive(tx, s, noon.AddDate(1, 0, 0)) })
}

func (a *aged) settle() {
	a.Helper()
	a.view(a.log.Settle)
}

func (a *aged) thin(most int) (more bool) {
	a.Helper()
	a.update(func(tx *bbolt.Tx) (err error) {
		more, err = a.log.Thin(tx, most)
		return err
	})
	return more
}

// archive moves a run of leaves, from the first step to the last.
func (a *aged) archive(first, end int64) audit.Segment {
	a.Helper()
	s := a.seal(first, end)
	a.commit(s)
	a.settle()
	for a.thin(100) {
	}
	return s
}

func (a *aged) export(from, to time.Time) []byte {
	a.Helper()
	var out bytes.Buffer
	a.view(func(tx *bbolt.Tx) error { return a.log.ExportWindow(&out, tx, a.key, from, to) })
	return out.Bytes()
}

// live counts the leaves in the live file.
func (a *aged) live() (n int) {
	a.tamper(func(leaves, _, _ *bbolt.Bucket) { n = leaves.Stats().KeyN })
	return n
}

// sameAsBefore demands that whoever asks the log sees no difference.
func (a *aged) sameAsBefore(when string) {
	a.Helper()
	if !bytes.Equal(a.leaves(), a.whole) {
		a.Errorf("%s: the leaves are not what they were", when)
	}
	if r := a.verify(a.held...); !r.Verified {
		a.Errorf("%s: %+v", when, r)
	}
	a.view(func(tx *bbolt.Tx) error {
		found, next, err := a.log.Find(tx, audit.Search{Case: "办件-7", After: -1, Limit: 100})
		if err != nil || next != -1 || len(found) != 11 {
			a.Errorf("%s: %d leaves of a case, next %d, %v", when, len(found), next, err)
		}
		if leaf, err := a.log.Decision(tx, "d-300"); err != nil || leaf.Index != 300 {
			a.Errorf("%s: a decision: %d, %v", when, leaf.Index, err)
		}
		if found, err := a.log.Covering(tx, "enterprise-registration", "s-440106", 4008); err != nil || len(found) != 1 || found[0].Index != 400 {
			a.Errorf("%s: what covers an event: %v, %v", when, found, err)
		}
		proof, err := a.log.Prove(tx, a.held[1], []int64{5, 700})
		if err != nil || len(proof.Leaves) != 2 {
			a.Errorf("%s: a proof: %v", when, err)
		}
		return nil
	})
	for _, from := range []time.Time{{}, noon.Add(500 * time.Minute)} {
		if r, err := audit.VerifyExport(bytes.NewReader(a.export(from, noon.Add(900*time.Minute))), nil, a.key); err != nil || !r.Verified || r.Signed != 900 {
			a.Errorf("%s: an export from %v: %+v, %v", when, from, r, err)
		}
	}
	if r, err := audit.VerifyExport(bytes.NewReader(a.export(time.Time{}, time.Time{})), a.held, a.key); err != nil || !r.Verified {
		a.Errorf("%s: an export of all: %+v, %v", when, r, err)
	}
}

func TestAnArchivedLogAnswersAsBefore(t *testing.T) {
	a := newAged(t)
	before := a.live()
	a.archive(0, block)
	a.archive(block, 3*block)
	a.sameAsBefore("archived")
	if now := a.live(); now != before-3*block+2 { // and two leaves tell of it
		t.Errorf("%d leaves in the live file, of %d", now, before)
	}
	a.view(func(tx *bbolt.Tx) error {
		segments, err := a.log.Segments(tx)
		if err != nil || len(segments) != 2 || segments[1].First != block || segments[1].End != 3*block || !segments[1].From.Equal(noon.Add(block*time.Minute)) {
			t.Errorf("%+v, %v", segments, err)
		}
		return nil
	})
}

// Many read at once, more blocks than are kept read.
func TestManyReadSegmentsAtOnce(t *testing.T) {
	a := newAged(t)
	a.archive(0, 2*block)
	a.archive(2*block, 4*block)
	var readers sync.WaitGroup
	for r := range 8 {
		readers.Go(func() {
			err := a.db.View(func(tx *bbolt.Tx) error {
				for i := range int64(200) {
					n := (i*37 + int64(r)*block) % (4 * block)
					if record, err := a.log.Record(tx, n); err != nil || record.Case != fmt.Sprint("办件-", n%100) {
						return fmt.Errorf("leaf %d is %+v, %w", n, record, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	readers.Wait()
}

// However far archiving came before the node died, nothing is lost or there twice, and
// it goes on.
func TestArchivingIsCutOffAnywhere(t *testing.T) {
	raced.Later(t)
	a := newAged(t)
	var s audit.Segment
	steps := []struct {
		name string
		do   func()
	}{
		{"half a file", func() {
			s = a.seal(0, 2*block)
			path := filepath.Join(a.dir, s.Name()+".tmp")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data[:len(data)/2], 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"a file that is not part of the log", func() { s = a.seal(0, 2*block) }},
		{"part of the log without its name", func() { s = a.seal(0, 2*block); a.commit(s) }},
		{"with its name", a.settle},
		{"half thinned", func() { a.thin(300) }},
		{"thinned", func() {
			for a.thin(300) {
			}
		}},
	}
	for i, step := range steps {
		step.do()
		a.reopen()
		a.sameAsBefore(step.name)
		a.settle()
		a.sameAsBefore(step.name + ", settled")
		files, _ := os.ReadDir(a.dir)
		if part := i >= 2; len(files) != map[bool]int{true: 1}[part] || part && files[0].Name() != s.Name() {
			t.Errorf("%s: the archive holds %v", step.name, files)
		}
	}
	if live := a.live(); live != 2*block+10+1 {
		t.Errorf("%d leaves in the live file", live)
	}
}

// A leaf goes only once the segment is there under its name, as it was sealed.
func TestNothingIsThinnedBeforeItsSegmentIsSafe(t *testing.T) {
	a := newAged(t)
	s := a.seal(0, block)
	a.commit(s)
	err := a.db.Update(func(tx *bbolt.Tx) error {
		_, err := a.log.Thin(tx, 100)
		return err
	})
	if bus.CodeOf(err) != bus.CodeEvidence || a.live() != 4*block+10+1 {
		t.Errorf("thinned without a file: %v, %d leaves left", err, a.live())
	}
}

func TestS51_ADamagedOrMissingSegmentIsNamed(t *testing.T) {
	a := newAged(t)
	s := a.archive(0, 2*block)
	a.archive(2*block, 3*block)
	path := filepath.Join(a.dir, s.Name())
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	named := func(what string, bad int64) {
		t.Helper()
		a.reopen()
		r := a.verify(a.held...)
		if r.Verified || !strings.Contains(r.Problem.EN, s.Name()) || bad >= 0 && r.BadLeaf != bad {
			t.Errorf("%s: %+v", what, r)
		}
		a.view(func(tx *bbolt.Tx) error {
			if r, err := a.log.Record(tx, 2*block+5); err != nil || r.Case == "" {
				t.Errorf("%s: the other segment: %v", what, err)
			}
			return nil
		})
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	named("missing", 0)
	a.view(func(tx *bbolt.Tx) error {
		if _, _, err := a.log.Find(tx, audit.Search{Case: "办件-7", After: -1, Limit: 100}); bus.CodeOf(err) != bus.CodeEvidence || !strings.Contains(err.Error(), s.Name()) {
			t.Errorf("a search: %v", err)
		}
		return nil
	})
	places := []int{len(sound) - 13} // of the seek table, what nobody reads
	for at := 0; at < len(sound); at += len(sound)/23 + 1 {
		places = append(places, at)
	}
	for _, at := range places {
		damaged := bytes.Clone(sound)
		damaged[at] ^= 1
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		named(fmt.Sprintf("byte %d changed", at), -1)
	}
	if err := os.WriteFile(path, sound[:len(sound)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	named("cut off", 0)
	if err := os.WriteFile(path, sound, 0o600); err != nil {
		t.Fatal(err)
	}
	a.reopen()
	a.sameAsBefore("back")
}

// S51: a whole other segment, with an entry that fits it, does not pass for the one that
// was sealed: the hashes of its leaves are in the live file, and under signed heads.
func TestS51_AForgedSegmentIsNoSegment(t *testing.T) {
	a, other := newAged(t), newAgedOf(t, "号码-")
	s := a.archive(0, block)
	forged := other.seal(0, block)
	text, err := os.ReadFile(filepath.Join(other.dir, forged.Name()+".tmp"))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(a.dir, s.Name()))
	if err != nil {
		t.Fatal(err)
	}
	for what, file := range map[string][]byte{"other leaves": text, "the same leaves": whole} {
		if err := os.WriteFile(filepath.Join(a.dir, s.Name()), file, 0o600); err != nil {
			t.Fatal(err)
		}
		a.reopen()
		a.update(func(tx *bbolt.Tx) error {
			entry := s
			if what == "other leaves" {
				entry = forged
			}
			value, err := json.Marshal(entry)
			if err != nil {
				return err
			}
			return tx.Bucket([]byte("evidence")).Bucket([]byte("segments")).Put(key(0), value)
		})
		r := a.verify(a.held...)
		_, err := func() (record audit.Record, err error) {
			a.view(func(tx *bbolt.Tx) error {
				record, err = a.log.Record(tx, 3)
				return nil
			})
			return record, err
		}()
		if forged := what == "other leaves"; r.Verified == forged || (bus.CodeOf(err) == bus.CodeEvidence) != forged {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
}

// A segment is a file that any zstd unpacks, and an export that verifies by itself.
func TestASegmentVerifiesAlone(t *testing.T) {
	a := newAged(t)
	s := a.archive(0, 2*block)
	file, err := os.Open(filepath.Join(a.dir, s.Name()))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzip, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer unzip.Close()
	text, err := io.ReadAll(unzip)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := audit.VerifyExport(bytes.NewReader(text), nil, a.key); err != nil || !r.Verified || r.Leaves != 2*block || r.Signed != 2*block {
		t.Errorf("%+v, %v", r, err)
	}
	if info, _ := file.Stat(); info.Mode().Perm() != 0o600 || info.Size() != s.Bytes {
		t.Errorf("%v", info)
	}
}

func TestWhatIsPrunedIsOnRecordAndTheRestProvesWhatItProved(t *testing.T) {
	a := newAged(t)
	first := a.archive(0, block)
	a.archive(block, 3*block)
	auditor := bus.Principal{Account: "auditor", Role: bus.RoleAuditor}
	prune := func(before time.Time) (gone []audit.Segment) {
		a.update(func(tx *bbolt.Tx) (err error) {
			gone, err = a.log.Prune(tx, auditor, "r-1", before, noon.AddDate(4, 0, 0))
			return err
		})
		a.settle()
		return gone
	}
	if gone := prune(first.To); len(gone) != 0 {
		t.Errorf("pruned %v, of which a leaf is not old enough", gone)
	}
	if gone := prune(first.To.Add(time.Second)); len(gone) != 1 || gone[0].Name() != first.Name() {
		t.Errorf("pruned %v", gone)
	}
	if _, err := os.Stat(filepath.Join(a.dir, first.Name())); !os.IsNotExist(err) {
		t.Errorf("its file: %v", err)
	}
	a.reopen()
	if r := a.verify(a.held...); !r.Verified || r.First != block {
		t.Errorf("%+v", r)
	}
	if r, err := audit.VerifyExport(bytes.NewReader(a.export(time.Time{}, time.Time{})), a.held, a.key); err != nil || !r.Verified || r.First != block {
		t.Errorf("%+v, %v", r, err)
	}
	a.view(func(tx *bbolt.Tx) error {
		found, _, err := a.log.Find(tx, audit.Search{Case: "办件-7", After: -1, Limit: 100})
		if err != nil || len(found) != 8 { // of 11, those of leaves 7, 107 and 207 are gone
			t.Errorf("%d leaves of a case, %v", len(found), err)
		}
		if found, err := a.log.Covering(tx, "enterprise-registration", "s-440106", 1001); err != nil || len(found) != 0 {
			t.Errorf("what covered a pruned event: %v, %v", found, err)
		}
		if _, err := a.log.Decision(tx, "d-3"); bus.CodeOf(err) != bus.CodeNotFound {
			t.Errorf("a pruned decision: %v", err)
		}
		if n, err := a.log.Since(tx, time.Time{}); err != nil || n != block {
			t.Errorf("the first leaf kept: %d, %v", n, err)
		}
		return nil
	})
	// S51: somebody with the disk takes a segment away and says that it was pruned.
	a.update(func(tx *bbolt.Tx) error {
		top := tx.Bucket([]byte("evidence"))
		return top.Put([]byte("pruned"), key(3*block))
	})
	if r := a.verify(a.held...); r.Verified || r.BadLeaf != 0 || !strings.Contains(r.Problem.EN, "nothing on record") {
		t.Errorf("taken away: %+v", r)
	}
}

func TestLeavesRipen(t *testing.T) {
	a := newAged(t)
	ripe := func(before time.Time) (first, end int64) {
		a.view(func(tx *bbolt.Tx) (err error) {
			first, end, err = a.log.Ripe(tx, before)
			return err
		})
		return first, end
	}
	week := 7 * 24 * time.Hour
	for before, want := range map[time.Time]int64{
		noon:                         0,
		noon.Add(600 * time.Minute):  0, // a small segment waits for more
		noon.Add(week):               4 * block,
		noon.Add(week - time.Second): 0,
		noon.AddDate(3, 0, 0):        4 * block, // never the last leaf
	} {
		if first, end := ripe(before); first != 0 || end != want {
			t.Errorf("before %v: %d to %d, want %d", before, first, end, want)
		}
	}
	batch := make([]audit.Record, 2*block)
	for i := range batch {
		batch[i] = administered("unsigned")
		batch[i].At = noon.Add(1100 * time.Minute)
	}
	a.append(batch...)
	if _, end := ripe(noon.AddDate(3, 0, 0)); end != 4*block {
		t.Errorf("%d leaves are ripe, of which no signed checkpoint covers the last", end)
	}
	a.archive(0, block)
	if first, end := ripe(noon.Add(2 * week)); first != block || end != 4*block {
		t.Errorf("after a segment: %d to %d", first, end)
	}
}
