package exchange

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
	"go.etcd.io/bbolt"
)

// What the obligations of a department's exchanges have to remember stands in its
// ledger: how much passed in the window of each limit, up to where that was
// counted, and the secret that pseudonyms and watermarks are made with. It moves
// with the department.
var (
	bucketLedger = []byte("ledger") // department → key → value
	keySecret    = []byte("secret")
)

const (
	meterPrefix   = "count\x00"
	countedPrefix = "upto\x00"
	leftOutPrefix = "left\x00"
)

// use is what limits count: events of a subscription, or one request.
type use struct {
	at      seat // of the department in whose ledger it is counted
	action  policy.Action
	flow    flow
	limits  []bus.Limit
	request bool // not events
}

// meterKey names the meter of a limit: what counts together has one.
func (u use) meterKey(l bus.Limit) []byte {
	whose := string(u.flow.subscription.Consumer)
	switch l.Key {
	case bus.KeySystem:
		whose = string(u.flow.subscription.System)
	case bus.KeyGrant:
		if u.flow.subscription.Grant != "" {
			whose = string(u.flow.subscription.Grant)
		}
	}
	parts := []string{string(u.action), string(u.flow.resource.ID), string(l.Per), string(l.Key), whose}
	if l.Per == bus.PerCase {
		parts = append(parts, u.flow.input.Case)
	}
	return []byte(meterPrefix + strings.Join(parts, "\x00"))
}

func (u use) countedKey() []byte {
	return []byte(countedPrefix + string(u.action) + "\x00" + string(u.flow.subscription.ID))
}

// admission is how many of a run of events, or requests, the limits let through.
type admission struct {
	use
	free    int // counted before
	n       int // may pass, with the free ones
	reached *full
	meters  []meter
}

// admit works out what the limits let through of events with ascending numbers,
// or of one request. Each event counts once for an action, in the window in which
// it was first let through: the same again is free.
func (u use) admit(tx *bbolt.Tx, numbers []uint64, now time.Time) (a admission, err error) {
	a = admission{use: u, meters: make([]meter, len(u.limits))}
	want, ends := 1, make([]time.Time, len(u.limits))
	ledger := tx.Bucket(bucketLedger).Bucket([]byte(u.at.department))
	if !u.request {
		var upTo uint64
		if ledger != nil {
			if value := ledger.Get(u.countedKey()); len(value) == 8 {
				upTo = binary.BigEndian.Uint64(value)
			}
		}
		for a.free < len(numbers) && numbers[a.free] <= upTo {
			a.free++
		}
		want = len(numbers) - a.free
	}
	for i, l := range u.limits {
		if ledger != nil {
			if value := ledger.Get(u.meterKey(l)); value != nil {
				if err := json.Unmarshal(value, &a.meters[i]); err != nil {
					return a, err
				}
			}
		}
		a.meters[i], ends[i] = a.meters[i].at(l.Per, now)
		if l.Per == bus.PerCase && u.flow.input.Case == "" { // counted under no case, it would never end
			a.meters[i].Count = bus.MaxLimit
		}
	}
	a.n, a.reached = room(want, u.limits, a.meters, ends)
	a.n += a.free
	return a, nil
}

// count writes down what was let through, up to the number last.
func (a admission) count(tx *bbolt.Tx, last uint64) error {
	if a.n == a.free || len(a.limits) == 0 {
		return nil
	}
	ledger, err := tx.Bucket(bucketLedger).CreateBucketIfNotExists([]byte(a.at.department))
	if err != nil {
		return err
	}
	for i, l := range a.limits {
		a.meters[i].Count += a.n - a.free
		value, err := json.Marshal(a.meters[i])
		if err != nil {
			return err
		}
		if err := ledger.Put(a.meterKey(l), value); err != nil {
			return err
		}
	}
	if a.request {
		return nil
	}
	return ledger.Put(a.countedKey(), sequenceKey(last))
}

// What was left out of a batch stays left out when the batch is sent again, though
// a policy may have changed meanwhile: the consumer's node may have had the events
// after it already, and takes nothing from before them. The numbers stand in the
// ledger from before the batch leaves until the cursor has passed it.
type leftOut []uint64

func (u leftOut) has(number uint64) bool {
	_, found := slices.BinarySearch(u, number)
	return found
}

// and adds numbers.
func (u leftOut) and(more leftOut) leftOut {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(u, more))))
}

// after are the numbers above last.
func (u leftOut) after(last uint64) leftOut {
	i, found := slices.BinarySearch(u, last)
	if found {
		i++
	}
	return u[i:]
}

// leftOutOf reads what is left out of the batch of a subscription that is under way.
func leftOutOf(tx *bbolt.Tx, at seat, id bus.SubscriptionID) (numbers leftOut) {
	ledger := tx.Bucket(bucketLedger).Bucket([]byte(at.department))
	if ledger == nil {
		return nil
	}
	for value := ledger.Get([]byte(leftOutPrefix + string(id))); len(value) >= 8; value = value[8:] {
		numbers = append(numbers, binary.BigEndian.Uint64(value))
	}
	return numbers
}

// put writes the numbers down; none of them deletes.
func (u leftOut) put(tx *bbolt.Tx, at seat, id bus.SubscriptionID) error {
	ledger, err := tx.Bucket(bucketLedger).CreateBucketIfNotExists([]byte(at.department))
	if err != nil {
		return err
	}
	key := []byte(leftOutPrefix + string(id))
	if len(u) == 0 {
		return ledger.Delete(key)
	}
	value := make([]byte, 0, 8*len(u))
	for _, number := range u {
		value = binary.BigEndian.AppendUint64(value, number)
	}
	return ledger.Put(key, value)
}

// secret returns the secret of a department that is served here, made when it is
// first needed. It never leaves the node but with the department.
func (x *Exchange) secret(ctx context.Context, at seat) ([]byte, error) {
	var secret []byte
	read := func(tx *bbolt.Tx) error {
		if ledger := tx.Bucket(bucketLedger).Bucket([]byte(at.department)); ledger != nil {
			secret = append([]byte(nil), ledger.Get(keySecret)...)
		}
		return nil
	}
	if err := x.Store.View(read); err != nil || len(secret) > 0 {
		return secret, err
	}
	err := x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, at); err != nil {
			return err
		}
		if err := read(tx); err != nil || len(secret) > 0 { // another was faster
			return err
		}
		ledger, err := tx.Bucket(bucketLedger).CreateBucketIfNotExists([]byte(at.department))
		if err != nil {
			return err
		}
		secret = make([]byte, sha256.Size)
		_, _ = rand.Read(secret) // never fails
		return ledger.Put(keySecret, secret)
	})
	return secret, err
}

// derive makes the key of one purpose from a department's secret.
func derive(secret []byte, purpose ...string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(strings.Join(purpose, "\x00")))
	return mac.Sum(nil)
}

// pseudonymKey is the key of the pseudonyms under the grant of a flow, or, where
// it needs none, of a department's use of a resource.
func (f flow) pseudonymKey(secret []byte) []byte {
	if f.subscription.Grant != "" {
		return derive(secret, "pseudonym", "grant", string(f.subscription.Grant))
	}
	return derive(secret, "pseudonym", "use", string(f.resource.ID), string(f.subscription.Consumer))
}
