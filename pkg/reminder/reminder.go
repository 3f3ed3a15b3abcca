// Package reminder tells the departments that a node serves of deadlines that come
// near or have passed. What is due it finds in the directory, by package due; what
// it has told it keeps in the node's own file, each once, with its evidence in the
// same transaction. Nothing of it goes through the directory's log.
//
// The id of a reminder is made of the task, its deadline and the threshold alone.
// When a department moves, its new node may tell once more what the old one told
// before: under the same id, so that whoever reads it knows it again.
package reminder

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/due"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// Store is the node's file.
type Store interface {
	Commit(ctx context.Context, write func(*bbolt.Tx) error) error
	View(fn func(*bbolt.Tx) error) error
}

// Evidence is the node's evidence log.
type Evidence interface {
	Append(tx *bbolt.Tx, records ...audit.Record) (first int64, err error)
}

// Directory is the local replica.
type Directory interface {
	View(func(*state.Tx) error) error
}

// Config joins reminders to their surroundings.
type Config struct {
	Self      bus.NodeID
	Store     Store
	Log       Evidence
	Directory Directory
	Now       func() time.Time
	Logger    *slog.Logger
	Every     time.Duration // between two looks at what is due; a minute where it is 0
}

// Reminder says that a task's deadline comes near, or has passed.
type Reminder struct {
	Number    uint64        `json:"number"` // of this node's, from 1
	ID        string        `json:"id"`
	At        time.Time     `json:"at"`
	Threshold bus.Threshold `json:"threshold"`
	Task      bus.Task      `json:"task"` // as it was then
}

// Reminders are those of a node.
type Reminders struct {
	Config
	cancel  context.CancelFunc
	working sync.WaitGroup

	mu    sync.Mutex
	moved chan struct{} // closed and renewed when there are more
}

// keep is how long a reminder can be read, and longer while its task lasts.
const keep = 90 * 24 * time.Hour

var (
	bucketReminders = []byte("reminders") // number → reminder
	bucketReminded  = []byte("reminded")  // id → number
)

// Open begins to remind.
func Open(c Config) (*Reminders, error) {
	if c.Every == 0 {
		c.Every = time.Minute
	}
	err := c.Store.Commit(context.Background(), func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketReminders, bucketReminded} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("prepare reminders: %w", err)
	}
	r := &Reminders{Config: c, moved: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.working.Go(func() { r.run(ctx) })
	return r, nil
}

// Close ends it, and waits for what is under way.
func (r *Reminders) Close() {
	r.cancel()
	r.working.Wait()
}

func (r *Reminders) run(ctx context.Context) {
	timer := time.NewTicker(r.Every)
	defer timer.Stop()
	for {
		if err := r.Remind(ctx); err != nil && ctx.Err() == nil {
			r.Logger.Error("remind of deadlines", "error", err)
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// Remind tells what is to be told now: of each task of a department that this node
// serves the last threshold it has reached, if that was not told before.
func (r *Reminders) Remind(ctx context.Context) error {
	reached, err := r.reached()
	if err != nil {
		return err
	}
	var fresh []Reminder
	err = r.Store.View(func(tx *bbolt.Tx) error {
		fresh = untold(tx, reached)
		return nil
	})
	if err != nil || len(fresh) == 0 {
		return err
	}
	err = r.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := forget(tx, r.Now().Add(-keep), reached); err != nil {
			return err
		}
		return r.tell(tx, untold(tx, reached))
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.moved)
	r.moved = make(chan struct{})
	return nil
}

func (r *Reminders) reached() (reached []Reminder, err error) {
	now := r.Now()
	err = r.Directory.View(func(tx *state.Tx) error {
		for _, t := range due.Tasks(tx, now) {
			threshold := t.Reached()
			d, ok := tx.Department(t.Department)
			if threshold == bus.ThresholdNone || !ok {
				continue
			}
			if home, ok := tx.Home(d); ok && home == r.Self {
				reached = append(reached, Reminder{ID: idOf(t, threshold), At: now.UTC(), Threshold: threshold, Task: t})
			}
		}
		return nil
	})
	return reached, err
}

// idOf names a reminder: a deadline that was moved is another.
func idOf(t bus.Task, threshold bus.Threshold) string {
	return t.ID + "@" + t.Deadline.Due.UTC().Format(time.RFC3339) + "/" + string(threshold)
}

func untold(tx *bbolt.Tx, reached []Reminder) []Reminder {
	var fresh []Reminder
	told := tx.Bucket(bucketReminded)
	for _, one := range reached {
		if told.Get([]byte(one.ID)) == nil {
			fresh = append(fresh, one)
		}
	}
	return fresh
}

func (r *Reminders) tell(tx *bbolt.Tx, fresh []Reminder) error {
	log, told := tx.Bucket(bucketReminders), tx.Bucket(bucketReminded)
	for _, one := range fresh {
		var err error
		if one.Number, err = log.NextSequence(); err != nil {
			return err
		}
		data, err := json.Marshal(one)
		if err != nil {
			return err
		}
		key := binary.BigEndian.AppendUint64(nil, one.Number)
		if err := log.Put(key, data); err != nil {
			return err
		}
		if err := told.Put([]byte(one.ID), key); err != nil {
			return err
		}
		_, err = r.Log.Append(tx, audit.Record{
			Kind: audit.KindReminded, At: one.At, Node: r.Self, Principal: bus.Principal{Node: r.Self},
			Detail: one.ID + " to " + string(one.Task.Department),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// forget lets go of old reminders whose tasks are done.
func forget(tx *bbolt.Tx, before time.Time, reached []Reminder) error {
	still := map[string]bool{}
	for _, one := range reached {
		still[one.ID] = true
	}
	log, told := tx.Bucket(bucketReminders), tx.Bucket(bucketReminded)
	old := map[string]string{} // number → id
	cursor := log.Cursor()
	for key, data := cursor.First(); key != nil; key, data = cursor.Next() {
		one, err := decode(data)
		if err != nil {
			return err
		}
		if !one.At.Before(before) {
			break
		}
		if !still[one.ID] {
			old[string(key)] = one.ID
		}
	}
	for key, id := range old {
		if err := errors.Join(log.Delete([]byte(key)), told.Delete([]byte(id))); err != nil {
			return err
		}
	}
	return nil
}

func decode(data []byte) (one Reminder, err error) {
	if err := json.Unmarshal(data, &one); err != nil {
		return one, fmt.Errorf("read a reminder: %w", err)
	}
	return one, nil
}

// Wait returns the reminders of a department after a number, limit at most, and
// the number to go on from. Where there is nothing new it waits, until ctx ends.
func (r *Reminders) Wait(ctx context.Context, department bus.USCC, after uint64, limit int) (found []Reminder, through uint64, err error) {
	for {
		r.mu.Lock()
		moved := r.moved
		r.mu.Unlock()
		found, through, err = r.after(department, after, limit)
		if err != nil || through > after {
			return found, through, err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, after, ctx.Err()
		}
	}
}

func (r *Reminders) after(department bus.USCC, after uint64, limit int) (found []Reminder, through uint64, err error) {
	through = after
	err = r.Store.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(bucketReminders).Cursor()
		key, data := cursor.Seek(binary.BigEndian.AppendUint64(nil, after+1))
		for ; key != nil && len(found) < limit; key, data = cursor.Next() {
			one, err := decode(data)
			if err != nil {
				return err
			}
			if through = one.Number; one.Task.Department == department {
				found = append(found, one)
			}
		}
		return nil
	})
	return found, through, err
}

// Last returns the number of the newest reminder, 0 where there is none.
func (r *Reminders) Last() (last uint64, err error) {
	err = r.Store.View(func(tx *bbolt.Tx) error {
		last = tx.Bucket(bucketReminders).Sequence()
		return nil
	})
	return last, err
}
