package server

import (
	"context"

	"go.etcd.io/bbolt"
)

// CommitExchange writes to the exchange file of a running node.
func (s *Server) CommitExchange(ctx context.Context, write func(*bbolt.Tx) error) error {
	return s.store.Commit(ctx, write)
}
