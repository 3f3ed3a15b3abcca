package consensus

import (
	"fmt"
	"io"
	"testing"

	"github.com/hashicorp/raft"
)

func TestWhatFollowsASnapshotIsTakenWithoutTheEntryBefore(t *testing.T) {
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		snapshot, first, last uint64 // of the node
		before, from, to      uint64 // of the request
		want                  string // entry before, entries
	}{
		"the log begins behind the snapshot":           {4, 5, 7, 4, 5, 8, "0 [5 6 7 8]"},
		"the leader begins before the snapshot's end":  {4, 5, 7, 2, 3, 6, "0 [5 6]"},
		"all of it is in the snapshot":                 {9, 10, 12, 2, 3, 4, "0 []"},
		"the log has older entries than the snapshot":  {6, 5, 9, 4, 5, 9, "0 [5 6 7 8 9]"},
		"the log has the entry before":                 {4, 3, 7, 4, 5, 8, "4 [5 6 7 8]"},
		"the log is empty":                             {4, 0, 0, 4, 5, 8, "4 [5 6 7 8]"},
		"there is no snapshot":                         {0, 5, 7, 4, 5, 8, "4 [5 6 7 8]"},
		"the snapshot does not reach the entry before": {3, 5, 7, 4, 5, 8, "4 [5 6 7 8]"},
		"something lacks between snapshot and log":     {4, 8, 9, 4, 5, 8, "4 [5 6 7 8]"},
		"from the beginning":                           {4, 5, 7, 0, 1, 3, "0 [1 2 3]"},
	} {
		log, snapshots := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
		for i := c.first; i > 0 && i <= c.last; i++ {
			check(log.StoreLog(&raft.Log{Index: i, Term: 2}))
		}
		if c.snapshot > 0 {
			sink, err := snapshots.Create(raft.SnapshotVersionMax, c.snapshot, 2, raft.Configuration{}, 1, nil)
			check(err)
			_, err = io.WriteString(sink, "x")
			check(err)
			check(sink.Close())
		}
		a := &raft.AppendEntriesRequest{PrevLogEntry: c.before, PrevLogTerm: 2}
		for i := c.from; i <= c.to; i++ {
			a.Entries = append(a.Entries, &raft.Log{Index: i, Term: 2})
		}
		(&seeded{log: log, snapshots: snapshots}).follow(a)
		indexes := []uint64{}
		for _, e := range a.Entries {
			indexes = append(indexes, e.Index)
		}
		if got := fmt.Sprint(a.PrevLogEntry, " ", indexes); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
