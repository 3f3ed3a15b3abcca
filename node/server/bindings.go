package server

import (
	"context"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding/store"
	"github.com/gxbus/gxbus/pkg/bus"
)

// bindingKey is the file of the secret that this node's bindings are encrypted with.
const bindingKey = "binding.key"

// openBindings opens the bindings of resources to systems of their providers. They lie
// in the exchange file, sealed.
func (s *Server) openBindings(ctx context.Context) error {
	key, err := s.dir.secret(bindingKey)
	if err != nil {
		return err
	}
	s.bindings, err = store.Open(ctx, store.Config{
		File: s.store, Key: key, Guard: store.Guard{Loopback: s.config.LoopbackBindings, OwnPorts: s.ownPorts()}, Now: s.now,
		Fence: func(tx *bbolt.Tx, id bus.ResourceID) error { return s.exchange.KeepsBinding(tx, id) },
		Append: func(tx *bbolt.Tx, record audit.Record) error {
			record.At, record.Node = s.now().UTC(), s.self.Node
			_, err := s.log.Append(tx, record)
			return err
		},
	})
	if err != nil {
		return err
	}
	s.onClose(func() error { s.bindings.Close(); return nil })
	return nil
}
