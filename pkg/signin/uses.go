package signin

import (
	"maps"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"go.etcd.io/bbolt"
)

// Uses remembers when each credential was last used at this node. It is written
// once a minute: after a crash the last minute is missing.
type Uses struct {
	file *file

	mu    sync.Mutex
	last  map[string]time.Time
	dirty map[string]time.Time
}

func newUses(f *file) *Uses {
	return &Uses{file: f, last: map[string]time.Time{}, dirty: map[string]time.Time{}}
}

func useKey(system bus.SystemID, credential bus.CredentialID) string {
	return string(system) + "/" + string(credential)
}

// Used notes a use.
func (u *Uses) Used(system bus.SystemID, credential bus.CredentialID, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	key := useKey(system, credential)
	u.last[key], u.dirty[key] = at, at
}

// LastUse is when a credential was last used here; zero where it never was.
func (u *Uses) LastUse(system bus.SystemID, credential bus.CredentialID) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.last[useKey(system, credential)]
}

func (u *Uses) flush() error {
	u.mu.Lock()
	dirty := u.dirty
	u.dirty = map[string]time.Time{}
	u.mu.Unlock()
	if len(dirty) == 0 {
		return nil
	}
	err := u.file.write(func(tx *bbolt.Tx) error {
		for key, at := range dirty {
			if err := put(tx.Bucket(bucketUses), key, at.UTC().Truncate(time.Second)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		maps.Copy(dirty, u.dirty)
		u.dirty = dirty
	}
	return err
}

func (u *Uses) load(tx *bbolt.Tx) error {
	return loadAll(tx.Bucket(bucketUses), func(key string, at *time.Time) bool {
		u.last[key] = *at
		return true
	})
}
