package consensus

import (
	"errors"
	"fmt"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/hashicorp/raft"
)

// Rebuild does for a stopped node what Open does first: it builds a state machine
// that lost what it had in a power cut again from the log.
func Rebuild(c Config) error {
	log, snapshots, err := openStores(c.Dir, c.Logger)
	if err != nil {
		return err
	}
	err = reaches(log, snapshots, max(c.Applied, c.Committed))
	if err == nil {
		_, err = rebuild(c, log, snapshots)
	}
	return errors.Join(err, log.Close())
}

// rebuild brings a state machine that lost what it had to where the log is known
// to be committed: the newest snapshot, then the entries after it. It returns what
// the state machine then has.
func rebuild(c Config, log raft.LogStore, snapshots raft.SnapshotStore) (bus.Revision, error) {
	if c.Committed <= c.Applied {
		return c.Applied, nil
	}
	from := uint64(c.Applied)
	if !holds(c.Applied, snapshots) {
		list, err := snapshots.List()
		if err != nil {
			return 0, err
		}
		_, stream, err := snapshots.Open(list[0].ID)
		if err != nil {
			return 0, err
		}
		if err := c.FSM.Restore(stream); err != nil {
			return 0, err
		}
		from = list[0].Index
	}
	to := uint64(c.Committed)
	c.Logger.Info("the directory is built again from the log", "from", from, "to", to)
	return max(bus.Revision(from), c.Committed), replay(c.FSM, log, from+1, to)
}

// replay applies the entries from first to last.
func replay(fsm raft.FSM, log raft.LogStore, first, last uint64) error {
	for index := first; index <= last; index++ {
		entry := new(raft.Log)
		if err := log.GetLog(index, entry); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		if err, failed := fsm.Apply(entry).(error); failed {
			return fmt.Errorf("entry %d: %w", index, err)
		}
	}
	return nil
}
