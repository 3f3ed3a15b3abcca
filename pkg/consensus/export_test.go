package consensus

// Snapshot has raft take a snapshot now.
func (g *Group) Snapshot() error { return g.raft.Snapshot().Error() }

// BreakLog closes the log's file under raft, as a disk that is gone would.
func (g *Group) BreakLog() error { return g.log.Close() }
