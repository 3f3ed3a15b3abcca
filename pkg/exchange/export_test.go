package exchange

// Queued is how many steps wait for the next commit.
func (s *Store) Queued() int { return len(s.queue) }

// Sign gives a parcel the digest of its rows.
func (p *Parcel) Sign() { p.Digest = p.digest() }
