package signin

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"go.etcd.io/bbolt"
)

// Skew is how far the clock of whoever signs a request may be from the node's.
const Skew = 5 * time.Minute

// ahead is how many seconds a floor is written ahead of the newest timestamp, so
// that a busy caller costs one write in so many seconds and a second.
const ahead = 1

// Replays remembers which signed requests were accepted, so that none is accepted
// twice (重放), not even after the node died.
//
// Nonces are kept in memory for as long as their timestamp would be accepted. What
// a restart forgets is made up for by a floor for each key, on the disk before a
// request above it is accepted: after a restart nothing at or below the floor is.
type Replays struct {
	now  func() time.Time
	file *file

	mu        sync.Mutex
	seen      map[int64]map[nonce]struct{} // by minute of the timestamp
	forgotten int64                        // minutes before this one are no longer in seen
	boot      map[string]int64             // floor as it was when the file was opened
	floor     map[string]int64             // floor on the disk now, unix seconds
}

type nonce struct{ key, value string }

func newReplays(now func() time.Time, f *file) *Replays {
	return &Replays{now: now, file: f, seen: map[int64]map[nonce]struct{}{}, boot: map[string]int64{}, floor: map[string]int64{}}
}

// Accept takes a request that key signed at a time, in whole seconds, with a nonce.
// CodeUnauthenticated where the time is too far from now, or the nonce was used;
// CodeUnavailable where that cannot be known, just after a restart: sign it anew.
func (r *Replays) Accept(key, value string, signed time.Time) error {
	at := signed.Unix()
	if err := r.first(nonce{key, value}, at); err != nil {
		return err
	}
	r.mu.Lock()
	covered := at <= r.floor[key]
	r.mu.Unlock()
	if covered {
		return nil
	}
	floor := at + ahead
	err := r.file.write(func(tx *bbolt.Tx) error {
		b, before := tx.Bucket(bucketFloors), int64(0)
		if stored := b.Get([]byte(key)); stored != nil {
			if err := json.Unmarshal(stored, &before); err != nil {
				return err
			}
		}
		return put(b, key, max(before, floor)) // another request may go along with this one
	})
	if err != nil {
		return err // the nonce stays used
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.floor[key] = max(r.floor[key], floor)
	return nil
}

// first remembers a nonce, unless it was there.
func (r *Replays) first(n nonce, at int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	oldest, newest := now.Add(-Skew).Unix(), now.Add(Skew).Unix()
	r.forget(oldest)
	minute := at / 60
	switch {
	case at < oldest || at > newest:
		return refusedTimestamp(now)
	case minute < r.forgotten: // the clock went back meanwhile
		return refusedTimestamp(now)
	case at <= r.boot[n.key]:
		return bus.E(bus.CodeUnavailable, bus.Defect{
			Field: "timestamp", Problem: bus.Text{ZH: "签名早于节点重启，无法确认未曾使用", EN: "signed before the node restarted: whether it was used is not known"},
			Allowed: "sign it anew, with the time of now",
		}).After((ahead + 1) * time.Second)
	}
	if _, used := r.seen[minute][n]; used {
		return bus.E(bus.CodeUnauthenticated, bus.Defect{
			Field: "nonce", Problem: bus.Text{ZH: "随机数已使用过", EN: "this nonce was used before"}, Allowed: "a new one for each request",
		})
	}
	if r.seen[minute] == nil {
		r.seen[minute] = map[nonce]struct{}{}
	}
	r.seen[minute][n] = struct{}{}
	return nil
}

func refusedTimestamp(now time.Time) error {
	return bus.E(bus.CodeUnauthenticated, bus.Defect{
		Field: "timestamp", Problem: bus.Text{ZH: "时间戳超出允许范围", EN: "the timestamp is too far from the node's clock"},
		Allowed: "within 5 minutes of " + now.UTC().Format(time.RFC3339),
	})
}

// forget drops the minutes of which nothing is accepted any more.
func (r *Replays) forget(oldest int64) {
	until := oldest / 60
	if until <= r.forgotten {
		return
	}
	for minute := range r.seen {
		if minute < until {
			delete(r.seen, minute)
		}
	}
	r.forgotten = until
}

func (r *Replays) load(tx *bbolt.Tx) error {
	gone := r.now().Add(-2 * Skew).Unix()
	return loadAll(tx.Bucket(bucketFloors), func(key string, at *int64) bool {
		r.boot[key], r.floor[key] = *at, *at
		return *at >= gone
	})
}
