package signin

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"go.etcd.io/bbolt"
)

// The rules of lockout. They are counted by account and address together first:
// whoever knows a name can fail in it, and must not so shut out its owner.
const (
	Window  = 15 * time.Minute // in which failures count together
	LockFor = 15 * time.Minute

	FailuresHere    = 5  // of one account from one address
	FailuresAddress = 20 // from one address, of any accounts
	FailuresAccount = 20 // of one account, from any addresses

	// KnownFor is how long an address stays known to an account that signed in from
	// it. There only FailuresHere holds: what others do elsewhere, or under other
	// names, locks nobody out of the place they work at.
	KnownFor = 30 * 24 * time.Hour
)

// remembered bounds the counters.
const remembered = 20_000

// Lockout counts failed sign-ins. An account without a name stands for a way to sign
// in that names none: only its address counts.
type Lockout struct {
	now  func() time.Time
	file *file

	mu       sync.Mutex
	failures map[string]*attempts // by counter
	known    map[string]time.Time // account and address
}

// attempts is one counter.
type attempts struct {
	Failed  []time.Time `json:"failed,omitempty"` // within Window, oldest first
	Until   time.Time   `json:"until,omitzero"`   // locked
	pending int         // being tried now
}

// Lock is a lock that began.
type Lock struct {
	Account string // empty: of an address
	Address string // empty: of an account, at addresses that are not known to it
	Until   time.Time
}

// String gives the lock as words for logs and evidence.
func (l Lock) String() string {
	text := "locked until " + l.Until.UTC().Format(time.RFC3339)
	if l.Account != "" {
		text += " account=" + l.Account
	}
	if l.Address != "" {
		text += " address=" + l.Address
	}
	return text
}

func newLockout(now func() time.Time, f *file) *Lockout {
	return &Lockout{now: now, file: f, failures: map[string]*attempts{}, known: map[string]time.Time{}}
}

// Origin is the address that attempts are counted under: an IPv4 address, the /64
// network of an IPv6 one, which is one subscriber's; loopback is "loopback".
func Origin(remote string) string {
	host, err := netip.ParseAddrPort(remote)
	address := host.Addr().Unmap().WithZone("")
	switch {
	case err != nil:
		return "unknown"
	case address.IsLoopback():
		return loopback
	case address.Is6():
		network, _ := address.Prefix(64) // 64 bits are never too many for it
		return network.String()
	}
	return address.String()
}

// loopback is known to every account: whoever can sign in on the node's own machine
// always has a way in.
const loopback = "loopback"

// counter is one thing that is counted of an attempt.
type counter struct {
	key   string
	limit int
	lock  Lock
}

// separator is in no account's name.
const separator = "\x00"

// counters are those that an attempt counts in. What cannot be the name of an account
// is none.
func (l *Lockout) counters(account, address string) []counter {
	from := counter{"address" + separator + address, FailuresAddress, Lock{Address: address}}
	if bus.CheckID("account", account) != nil {
		return []counter{from}
	}
	here := counter{"here" + separator + account + separator + address, FailuresHere, Lock{Account: account, Address: address}}
	if at, ok := l.known[account+separator+address]; address == loopback || ok && l.now().Sub(at) < KnownFor {
		return []counter{here}
	}
	return []counter{here, from, {"account" + separator + account, FailuresAccount, Lock{Account: account}}}
}

// Attempt is a sign-in that is being tried.
type Attempt struct {
	of       *Lockout
	account  string
	address  string
	counters []counter
}

// Begin lets a sign-in be tried, or says how long it may not be. Those that are being
// tried at the same time count as failed until they end, so that many at once are no
// more guesses than one after the other. Whether there is such an account changes
// nothing.
func (l *Lockout) Begin(account, address string) (a *Attempt, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	counters := l.counters(account, address)
	for _, c := range counters {
		n := l.failures[c.key]
		switch {
		case n == nil:
		case now.Before(n.Until):
			wait = max(wait, n.Until.Sub(now))
		case len(n.recent(now))+n.pending >= c.limit:
			wait = max(wait, time.Second) // the others will have ended
		}
	}
	if wait > 0 {
		return nil, wait
	}
	for _, c := range counters {
		l.counted(c.key).pending++
	}
	return &Attempt{l, account, address, counters}, 0
}

// Abandoned ends an attempt that came to nothing either way.
func (a *Attempt) Abandoned() {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	a.finish()
}

// Succeeded ends an attempt: the failures of the account from there are forgotten,
// and the address is known to it from now on.
func (a *Attempt) Succeeded(account string) error {
	l := a.of
	l.mu.Lock()
	a.finish()
	pair := account + separator + a.address
	here := "here" + separator + pair
	_, failed := l.failures[here]
	delete(l.failures, here)
	now := l.now()
	fresh := now.Sub(l.known[pair]) > KnownFor/2 // not each time: it is a write
	l.known[pair] = now
	l.mu.Unlock()
	if !failed && !fresh {
		return nil
	}
	return l.file.write(func(tx *bbolt.Tx) error {
		if err := tx.Bucket(bucketFailures).Delete([]byte(here)); err != nil {
			return err
		}
		return put(tx.Bucket(bucketKnown), pair, now)
	})
}

// Failed ends an attempt, and returns the locks that begin with it. After an error
// the failure counts, but not beyond a restart.
func (a *Attempt) Failed() (began []Lock, err error) {
	l := a.of
	l.mu.Lock()
	a.finish()
	now := l.now()
	stored := map[string]attempts{}
	for _, c := range a.counters {
		n := l.counted(c.key)
		n.Failed = append(n.recent(now), now)
		if len(n.Failed) >= c.limit {
			n.Failed, n.Until = nil, now.Add(LockFor)
			c.lock.Until = n.Until
			began = append(began, c.lock)
		}
		stored[c.key] = attempts{Failed: slices.Clone(n.Failed), Until: n.Until}
	}
	dropped := l.sweep(now)
	l.mu.Unlock()
	return began, l.file.write(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketFailures)
		for key, n := range stored {
			if err := put(b, key, n); err != nil {
				return err
			}
		}
		for _, key := range dropped {
			if err := b.Delete([]byte(key)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *Attempt) finish() {
	for _, c := range a.counters {
		n := a.of.counted(c.key)
		if n.pending > 0 {
			n.pending--
		}
		if n.pending == 0 && len(n.Failed) == 0 && n.Until.IsZero() {
			delete(a.of.failures, c.key)
		}
	}
}

func (l *Lockout) counted(key string) *attempts {
	n := l.failures[key]
	if n == nil {
		n = &attempts{}
		l.failures[key] = n
	}
	return n
}

// recent gives the failures that still count.
func (n *attempts) recent(now time.Time) []time.Time {
	i := slices.IndexFunc(n.Failed, func(at time.Time) bool { return now.Sub(at) < Window })
	if i < 0 {
		return nil
	}
	return n.Failed[i:]
}

// last is when a counter counted last.
func (n *attempts) last() time.Time {
	if len(n.Failed) == 0 {
		return n.Until
	}
	return n.Failed[len(n.Failed)-1]
}

// sweep forgets counters that count nothing any more, and where there are too many
// all the same those that counted longest ago. It returns their keys.
func (l *Lockout) sweep(now time.Time) (dropped []string) {
	if len(l.failures) <= remembered {
		return nil
	}
	for key, n := range l.failures {
		if n.pending == 0 && len(n.recent(now)) == 0 && !now.Before(n.Until) {
			delete(l.failures, key)
			dropped = append(dropped, key)
		}
	}
	if len(l.failures) > remembered {
		dropped = append(dropped, l.dropOldest()...)
	}
	return dropped
}

// dropOldest forgets the quarter of the counters that counted longest ago.
func (l *Lockout) dropOldest() []string {
	keys := slices.SortedFunc(maps.Keys(l.failures), func(a, b string) int { return l.failures[a].last().Compare(l.failures[b].last()) })
	dropped := keys[:len(keys)/4]
	for _, key := range dropped {
		delete(l.failures, key)
	}
	return dropped
}

func (l *Lockout) load(tx *bbolt.Tx) error {
	now := l.now()
	err := loadAll(tx.Bucket(bucketFailures), func(key string, n *attempts) bool {
		l.failures[key] = n
		return len(n.recent(now)) > 0 || now.Before(n.Until)
	})
	if err != nil {
		return err
	}
	return loadAll(tx.Bucket(bucketKnown), func(key string, at *time.Time) bool {
		l.known[key] = *at
		return now.Sub(*at) < KnownFor
	})
}

// loadAll gives every value of a bucket to keep, and deletes those that it does not
// keep.
func loadAll[V any](b *bbolt.Bucket, keep func(key string, v *V) bool) error {
	var gone [][]byte
	err := b.ForEach(func(key, value []byte) error {
		v := new(V)
		if err := json.Unmarshal(value, v); err != nil {
			return fmt.Errorf("value of %q: %w", key, err)
		}
		if !keep(string(key), v) {
			gone = append(gone, slices.Clone(key))
		}
		return nil
	})
	for _, key := range gone {
		err = errors.Join(err, b.Delete(key))
	}
	return err
}

func put(b *bbolt.Bucket, key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return b.Put([]byte(key), data)
}
