package exchange

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/raced"
)

// A block that is half on the shelves is not looked for there, and nothing of it is
// forgotten; whoever begins anew writes over what is there.
func TestShelvingIsCutOff(t *testing.T) {
	raced.Later(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store, err := OpenStore(filepath.Join(t.TempDir(), "exchange.db"), func(err error) { t.Error("halt: ", err) })
	must(err)
	defer store.Close()
	commit := func(write func(*bbolt.Tx) error) { t.Helper(); must(store.Commit(t.Context(), write)) }
	x := &Exchange{Config: Config{Store: store, Now: time.Now, Retention: Retention{Kept: time.Hour}}}
	of := func(n uint64) bus.ResourceID {
		if n%50 == 0 { // so that some shelves have nothing of it
			return "stays"
		}
		return "leaves"
	}
	commit(func(tx *bbolt.Tx) (err error) {
		if x.Log, err = audit.Open(tx, audit.Origin("test", "shenzhen")); err != nil {
			return err
		}
		x.arrivals = openArrivals(tx)
		for n := uint64(1); n <= blockSize && err == nil; n++ {
			err = x.arrivals.add(tx, keyOf(of(n), "/systems/sample", fmt.Sprint(n)), Occurrence{of(n), n})
		}
		return err
	})
	find := func(n uint64) (found []Occurrence) {
		t.Helper()
		must(store.View(func(tx *bbolt.Tx) (err error) {
			found, err = findID(tx, fmt.Sprint(n))
			return err
		}))
		return found
	}
	finds := func(when string, last uint64, want func(n uint64) []Occurrence) {
		t.Helper()
		for n := uint64(50); n < last; n += 1850 {
			for _, n := range []uint64{n, n + 1} {
				if got := find(n); !slices.Equal(got, want(n)) {
					t.Errorf("%s, event %d is at %v, want %v", when, n, got, want(n))
				}
			}
		}
	}
	all := func(n uint64) []Occurrence { return []Occurrence{{of(n), n}} }
	stays := func(n uint64) []Occurrence {
		if of(n) == "leaves" {
			return nil
		}
		return all(n)
	}

	commit(func(tx *bbolt.Tx) error {
		_, entries := sorted(tx, 0)
		return putOn(tx, 0, 0, entries[:shelves/2])
	})
	finds("half shelved", blockSize, all)
	must(x.forget(t.Context()))
	finds("and nothing forgotten", blockSize, all)
	commit(func(tx *bbolt.Tx) error { // a department moves away
		c := contents{Resources: []bus.ResourceID{"leaves"}}
		for at := (position{}); !at.end(); {
			var rows []row
			rows, at = c.read(tx, at, nil)
			if err := c.remove(tx, rows); err != nil {
				return err
			}
		}
		return nil
	})
	must(x.shelve(t.Context()))
	finds("shelved", blockSize, stays)
	must(x.forget(t.Context()))
	must(store.View(func(tx *bbolt.Tx) error {
		if left := tx.Bucket(bucketArrivals).Stats().KeyN; left > 1 {
			t.Errorf("%d arrivals are left", left)
		}
		return nil
	}))
	finds("forgotten", blockSize-1, stays)
}
