package audit_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// TestCoveringFindsExactlyTheLeavesThatCover compares with a search of all leaves
// over ranges of every length that overlap, repeat and come out of order.
func TestCoveringFindsExactlyTheLeavesThatCover(t *testing.T) {
	f := newFixture(t)
	random := rand.New(rand.NewPCG(1, 2))
	var all []audit.Record
	subscriptions := []bus.SubscriptionID{"", "s", "s-1", "s-2"}
	for range 600 {
		first := 1 + random.Uint64N(200)
		r := forwarded(first, first+random.Uint64N(1<<random.IntN(9)))
		r.Subscription = subscriptions[random.IntN(len(subscriptions))]
		r.Resource = []bus.ResourceID{"r", "r-1"}[random.IntN(2)]
		all = append(all, r)
	}
	edge := forwarded(math.MaxUint64-1, math.MaxUint64)
	edge.Resource, edge.Events = "r", 1
	whole := forwarded(1, math.MaxUint64)
	whole.Resource, whole.Events = "r", 1
	edge.Subscription, whole.Subscription = "s", "s"
	all = append(all, edge, whole, administered("no range"))
	f.append(all...)
	f.view(func(tx *bbolt.Tx) error {
		for _, seq := range append(sequence(0, 480), math.MaxUint64-2, math.MaxUint64-1, math.MaxUint64) {
			for _, s := range subscriptions {
				var want, got []int64
				for n, r := range all {
					if r.HasRange() && r.Resource == "r" && r.Subscription == s && r.First <= seq && seq <= r.Last {
						want = append(want, int64(n))
					}
				}
				leaves, err := f.log.Covering(tx, "r", s, seq)
				if err != nil {
					return err
				}
				for _, leaf := range leaves {
					got = append(got, leaf.Index)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%q %d: %v, want %v", s, seq, got, want)
				}
			}
		}
		return nil
	})
}

func sequence(from, to uint64) []uint64 {
	var s []uint64
	for n := from; n < to; n++ {
		s = append(s, n)
	}
	return s
}

func TestDecisionIsFoundByItsID(t *testing.T) {
	f := newFixture(t)
	f.append(forwarded(1, 2), decided("d-1"), decided("d-2"), decided("d-1"))
	f.view(func(tx *bbolt.Tx) error {
		for id, want := range map[string]int64{"d-1": 1, "d-2": 2} {
			leaf, err := f.log.Decision(tx, id)
			if err != nil || leaf.Index != want || leaf.Record.Decision.ID != id {
				t.Errorf("%s: leaf %d, %v", id, leaf.Index, err)
			}
		}
		for _, id := range []string{"", "d", "d-3"} {
			if _, err := f.log.Decision(tx, id); bus.CodeOf(err) != bus.CodeNotFound {
				t.Errorf("%q: %v", id, err)
			}
		}
		return nil
	})
	if r := f.verify(); !r.Verified {
		t.Errorf("%+v", r)
	}
}

func TestLookUpsRefuseALyingIndex(t *testing.T) {
	for name, lie := range map[string]func(ranges, decisions *bbolt.Bucket){
		"range points at another leaf": func(ranges, _ *bbolt.Bucket) {
			k, v := ranges.Cursor().First()
			k, v = slices.Clone(k), slices.Clone(v)
			ranges.Delete(k)
			k[len(k)-1]++
			ranges.Put(k, v)
		},
		"range entry cut": func(ranges, _ *bbolt.Bucket) {
			k, _ := ranges.Cursor().First()
			ranges.Put(slices.Clone(k), []byte{1})
		},
		"decision points at another leaf": func(_, decisions *bbolt.Bucket) { decisions.Put([]byte("d-1"), key(0)) },
		"decision entry gone":             func(_, decisions *bbolt.Bucket) { decisions.Delete([]byte("d-1")) },
		"decision entry cut":              func(_, decisions *bbolt.Bucket) { decisions.Put([]byte("d-1"), []byte{1}) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.append(forwarded(1, 2), forwarded(3, 4), decided("d-1"))
			f.update(func(tx *bbolt.Tx) error {
				top := tx.Bucket([]byte("evidence"))
				lie(top.Bucket([]byte("ranges")), top.Bucket([]byte("decisions")))
				return nil
			})
			if r := f.verify(); r.Verified || r.BadLeaf < 0 {
				t.Errorf("verified with a lying index: %+v", r)
			}
			f.view(func(tx *bbolt.Tx) error {
				_, err1 := f.log.Covering(tx, "enterprise-registration", "s-440106", 1)
				_, err2 := f.log.Decision(tx, "d-1")
				if err1 == nil && err2 == nil {
					t.Error("no look-up noticed")
				}
				return nil
			})
		})
	}
}
