package audit_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// TestFindIsWhatReadingEveryLeafFinds compares the index with a look at all leaves,
// page by page, also where the file is of before there was an index.
func TestFindIsWhatReadingEveryLeafFinds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(t)
		at := noon
		pick := func(words ...string) string { return rapid.SampledFrom(words).Draw(rt, "word") }
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			batch := make([]audit.Record, rapid.IntRange(1, 300).Draw(rt, "leaves"))
			for i := range batch {
				at = at.Add(time.Second)
				batch[i] = audit.Record{Kind: audit.KindDelivered, At: at}
				if i%7 == 0 {
					batch[i].Grant, batch[i].Case, batch[i].Matter = bus.GrantID(pick("", "g-1", "g-2")), pick("", "440106-\"1\"", "办件号-1"), pick("", "m")
					batch[i].Provider, batch[i].Consumer = bus.USCC(pick("", "A", "AB")), bus.USCC(pick("", "A", "AB"))
					batch[i].Correlation = pick("", "c-1", "c-12")
					batch[i].Principal.Department = bus.USCC(pick("", "A", "AB"))
				}
			}
			f.append(batch...)
			if rapid.Bool().Draw(rt, "older") {
				f.update(func(tx *bbolt.Tx) error { // a file of before
					if err := tx.Bucket([]byte("evidence")).DeleteBucket([]byte("blocks")); err != nil {
						return err
					}
					return tx.Bucket([]byte("evidence")).Delete([]byte("blocks-from"))
				})
			}
		}
		s := audit.Search{
			Grant: bus.GrantID(pick("", "g-1", "g-3")), Case: pick("", "440106-\"1\"", "办件号-1"), Matter: pick("", "m"), Department: bus.USCC(pick("", "A", "AB")), Correlation: pick("", "", "c-1"),
			From: noon.Add(time.Duration(rapid.IntRange(-10, 700).Draw(rt, "from")) * time.Second), After: -1, Limit: rapid.IntRange(1, 40).Draw(rt, "limit"),
		}
		if rapid.Bool().Draw(rt, "until") {
			s.To = s.From.Add(time.Duration(rapid.IntRange(0, 700).Draw(rt, "to")) * time.Second)
		}
		f.view(func(tx *bbolt.Tx) error {
			var want, got []int64
			for leaf, err := range f.log.Records(tx, 0, 1<<40) {
				if err != nil {
					return err
				}
				if r := leaf.Record; wants(s, r) {
					want = append(want, leaf.Index)
				}
			}
			for next := int64(0); next >= 0; {
				var page []audit.Leaf
				var err error
				if page, next, err = f.log.Find(tx, s); err != nil {
					return err
				}
				if len(page) > s.Limit {
					rt.Fatalf("a page of %d", len(page))
				}
				for _, leaf := range page {
					got = append(got, leaf.Index)
				}
				s.After = next
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				rt.Fatalf("%+v\n got %v\nwant %v", s, got, want)
			}
			return nil
		})
		if r := f.verify(f.checkpoint()); !r.Verified {
			rt.Fatalf("%+v", r)
		}
	})
}

// wants is what Find promises, leaf by leaf.
func wants(s audit.Search, r audit.Record) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	department := s.Department == "" || s.Department == r.Provider || s.Department == r.Consumer || s.Department == r.Principal.Department
	return is(string(s.Grant), string(r.Grant)) && is(s.Case, r.Case) && is(s.Matter, r.Matter) && is(s.Correlation, r.Correlation) && department && !r.At.Before(s.From) && (s.To.IsZero() || r.At.Before(s.To))
}

func TestALeafThatTheIndexHidesIsFound(t *testing.T) {
	f := newFixture(t)
	f.append(forwarded(1, 10))
	held := f.checkpoint()
	f.update(func(tx *bbolt.Tx) error {
		blocks := tx.Bucket([]byte("evidence")).Bucket([]byte("blocks"))
		key, _ := blocks.Cursor().Seek([]byte("g"))
		return blocks.Delete(bytes.Clone(key))
	})
	if r := f.verify(held); r.Verified || r.BadLeaf != 0 {
		t.Errorf("%+v", r)
	}
}

func TestFindRefusesWhatAsksForNothing(t *testing.T) {
	f := newFixture(t)
	f.view(func(tx *bbolt.Tx) error {
		if _, _, err := f.log.Find(tx, audit.Search{After: -1}); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("%v", err)
		}
		return nil
	})
}
