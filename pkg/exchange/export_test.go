package exchange

// Queued is how many steps wait for the next commit.
func (s *Store) Queued() int { return len(s.queue) }
