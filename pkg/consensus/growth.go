package consensus

import (
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// A snapshot is taken once the log has grown by so much since the last one, and so
// much of the log is kept behind it for those who are a little behind. raft itself
// counts entries alone, but one of a bulk import is as large as hundreds of single
// writes (ADR 0028).
const (
	snapshotEntries, snapshotBytes = 8192, 64 << 20
	trailingEntries, trailingBytes = 10240, 32 << 20
)

// growth is what the log gained since the last snapshot was begun.
type growth struct {
	entries, bytes atomic.Int64
	due            chan struct{} // has one in it once a snapshot is due
	done           sync.WaitGroup
}

// measureGrowth measures a log behind the newest snapshot.
func measureGrowth(log raft.LogStore, snapshots raft.SnapshotStore) (*growth, error) {
	last, err := log.LastIndex()
	if err != nil {
		return nil, err
	}
	list, err := snapshots.List()
	if err != nil {
		return nil, err
	}
	if len(list) > 0 {
		last -= min(last, list[0].Index)
	}
	g := &growth{due: make(chan struct{}, 1)}
	g.add(newest(log, last, snapshotBytes))
	return g, nil
}

func (g *growth) add(entries uint64, bytes int64) {
	if g.entries.Add(int64(entries)) >= snapshotEntries || g.bytes.Add(bytes) >= snapshotBytes {
		select {
		case g.due <- struct{}{}:
		default: // is known
		}
	}
}

// stored adds entries that were written.
func (g *growth) stored(logs []*raft.Log) {
	bytes := int64(0)
	for _, l := range logs {
		bytes += int64(len(l.Data))
	}
	g.add(uint64(len(logs)), bytes)
}

// follow takes the snapshots that are due, until stop. One that fails, which raft
// logs, is tried again with the next entry.
func (g *growth) follow(r *raft.Raft, log raft.LogStore, stop <-chan struct{}) {
	g.done.Go(func() {
		for {
			select {
			case <-g.due:
				g.snapshot(r, log)
			case <-stop:
				return
			}
		}
	})
}

func (g *growth) snapshot(r *raft.Raft, log raft.LogStore) {
	entries, bytes := g.entries.Load(), g.bytes.Load()
	kept := r.ReloadableConfig()
	kept.TrailingLogs = trailingEntries // raft counts them once the snapshot is there: the log may have grown by then
	if large, size := newest(log, trailingEntries, trailingBytes); size >= trailingBytes {
		kept.TrailingLogs = large
	}
	if r.ReloadConfig(kept) == nil && r.Snapshot().Error() == nil {
		g.entries.Add(-entries)
		g.bytes.Add(-bytes)
	}
}

// newest counts the newest entries of the log, up to entries or until they have
// bytes together.
func newest(log raft.LogStore, entries uint64, bytes int64) (count uint64, size int64) {
	last, err := log.LastIndex()
	for ; err == nil && count < min(entries, last) && size < bytes; count++ {
		var l raft.Log
		if err = log.GetLog(last-count, &l); err != nil {
			break // the log begins after it
		}
		size += int64(len(l.Data))
	}
	return count, size
}
