package consensus

import (
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft"
	boltstore "github.com/hashicorp/raft-boltdb/v2"
)

func TestEveryFailedWriteOfTheLogHalts(t *testing.T) {
	log, err := boltstore.New(boltstore.Options{Path: filepath.Join(t.TempDir(), "log.db")})
	if err != nil {
		t.Fatal(err)
	}
	halted := 0
	store := durableStore{log, func(error) { halted++ }, new(atomic.Pointer[raft.Raft]), nil, new(growth)}
	entry := &raft.Log{Index: 1}
	writes := []struct {
		name string
		do   func() error
	}{
		{"StoreLog", func() error { return store.StoreLog(entry) }},
		{"StoreLogs", func() error { return store.StoreLogs([]*raft.Log{entry}) }},
		{"DeleteRange", func() error { return store.DeleteRange(1, 1) }},
		{"Set", func() error { return store.Set([]byte("k"), []byte("v")) }},
		{"SetUint64", func() error { return store.SetUint64([]byte("n"), 7) }},
	}
	for _, w := range writes {
		if err := w.do(); err != nil || halted != 0 {
			t.Errorf("%s on a good disk: %v, halted %d times", w.name, err, halted)
		}
	}
	if _, err := store.Get([]byte("nothing")); err == nil || halted != 0 {
		t.Errorf("to find nothing is no failure: %v", err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for i, w := range writes {
		if err := w.do(); err == nil || halted != i+1 {
			t.Errorf("%s on a broken disk: %v, halted %d times", w.name, err, halted)
		}
	}
}
