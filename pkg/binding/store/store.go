package store

import (
	"cmp"
	"context"
	"crypto/cipher"
	"encoding/json"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/storage"
)

// File is the node's file.
type File interface {
	Commit(ctx context.Context, write func(*bbolt.Tx) error) error
	View(fn func(*bbolt.Tx) error) error
}

// Config joins the bindings to their surroundings.
type Config struct {
	File   File
	Append func(*bbolt.Tx, audit.Record) error   // writes evidence
	Fence  func(*bbolt.Tx, bus.ResourceID) error // refuses, in the step's own transaction, for a resource that is not served here; nil: never
	Key    identity.Secret                       // of the encryption
	Guard  Guard
	Now    func() time.Time
}

// Store keeps the bindings of a node, and calls what they are to.
type Store struct {
	Config
	kept storage.Sealed

	mu   sync.Mutex
	open map[bus.ResourceID]opened
}

// opened is a service with the time at which its binding was put.
type opened struct {
	service
	at time.Time
}

// Open opens the bindings in the node's file.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{Config: c, kept: storage.Sealed{Bucket: []byte(binding.Bucket), AEAD: c.Key.Sealer()}, open: map[bus.ResourceID]opened{}}
	if s.Fence == nil {
		s.Fence = func(*bbolt.Tx, bus.ResourceID) error { return nil }
	}
	return s, c.File.Commit(ctx, func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte(binding.Bucket))
		return err
	})
}

// Seal is what the bindings are encrypted with here. They move with their provider:
// what another node is given of them, it seals with its own.
func (s *Store) Seal() cipher.AEAD { return s.kept.AEAD }

// Close ends the connections.
func (s *Store) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.open {
		o.close()
	}
	clear(s.open)
}

// Put keeps a binding in place of the one before, on record.
func (s *Store) Put(ctx context.Context, by bus.Principal, request string, b binding.Binding) (binding.Shown, error) {
	if err := bus.Invalid(b.Check()); err != nil {
		return binding.Shown{}, err
	}
	b.By, b.At = by, s.Now().UTC()
	tried, err := s.connect(b.Settled())
	if err != nil {
		return binding.Shown{}, err
	}
	tried.close()
	data, err := json.Marshal(b)
	if err != nil {
		return binding.Shown{}, err
	}
	err = s.change(ctx, b.Resource, audit.Record{Principal: by, Request: request, Detail: "binding.put " + string(b.Kind())}, func(tx *bbolt.Tx) error {
		return s.kept.Put(tx, []byte(b.Resource), data)
	})
	return b.Shown(), err
}

// Delete forgets a binding, on record.
func (s *Store) Delete(ctx context.Context, by bus.Principal, request string, id bus.ResourceID) error {
	return s.change(ctx, id, audit.Record{Principal: by, Request: request, Detail: "binding.delete"}, func(tx *bbolt.Tx) error {
		bindings := tx.Bucket([]byte(binding.Bucket))
		if bindings.Get([]byte(id)) == nil {
			return unbound(id)
		}
		return bindings.Delete([]byte(id))
	})
}

func (s *Store) change(ctx context.Context, id bus.ResourceID, record audit.Record, write func(*bbolt.Tx) error) error {
	record.Kind, record.Resource = audit.KindAdministered, id
	err := s.File.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := s.Fence(tx, id); err != nil {
			return err
		}
		if err := write(tx); err != nil {
			return err
		}
		return s.Append(tx, record)
	})
	if err == nil {
		s.drop(id)
	}
	return err
}

func (s *Store) drop(id bus.ResourceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.open[id]; ok {
		o.close()
		delete(s.open, id)
	}
}

func unbound(id bus.ResourceID) error {
	return bus.E(bus.CodeNotBound, bus.Defect{
		Field: "resource", Problem: bus.Text{ZH: "资源未挂接服务：" + string(id), EN: "resource " + string(id) + " is not bound to a service here"}, Allowed: "its provider binds it: gxbus binding put",
	})
}

// Show tells of a binding what may be told; CodeNotBound where there is none.
func (s *Store) Show(id bus.ResourceID) (binding.Shown, error) {
	b, err := s.find(id)
	return b.Shown(), err
}

// All tells of each binding what may be told: of one that cannot be read, that.
func (s *Store) All() (all []binding.Shown, err error) {
	err = s.File.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(binding.Bucket)).ForEach(func(key, value []byte) error {
			id := bus.ResourceID(key)
			shown := binding.Shown{Resource: id, Unreadable: true}
			if b, err := s.read(id, value); err == nil {
				shown = b.Shown()
			}
			all = append(all, shown)
			return nil
		})
	})
	return all, err
}

func (s *Store) find(id bus.ResourceID) (b binding.Binding, err error) {
	err = s.File.View(func(tx *bbolt.Tx) (err error) {
		value := tx.Bucket([]byte(binding.Bucket)).Get([]byte(id))
		if value == nil {
			return cmp.Or(s.Fence(tx, id), unbound(id)) // it may have moved a moment ago
		}
		b, err = s.read(id, value)
		return err
	})
	return b, err
}

// read reads a binding as it lies in the file. One that cannot be read is as good as
// none. The cause is not told: it may repeat a secret.
func (s *Store) read(id bus.ResourceID, value []byte) (b binding.Binding, err error) {
	data, err := s.kept.Open([]byte(id), value)
	if err == nil {
		err = json.Unmarshal(data, &b)
	}
	if err != nil {
		return binding.Binding{}, bus.E(bus.CodeNotBound, bus.Defect{
			Field:   "resource",
			Problem: bus.Text{ZH: "资源的挂接无法用本节点的密钥解密：" + string(id), EN: "the binding of resource " + string(id) + " cannot be read with this node's key"},
			Allowed: "its provider binds it anew: gxbus binding put",
		})
	}
	return b.Settled(), nil
}

// service is the one that a resource is bound to, opened when it is first called.
func (s *Store) service(id bus.ResourceID) (service, binding.Binding, error) {
	b, err := s.find(id)
	if err != nil {
		return nil, b, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.open[id]
	if ok && o.at.Equal(b.At) {
		return o, b, nil
	}
	fresh, err := s.connect(b)
	if err != nil {
		return nil, b, err
	}
	if ok {
		o.close()
	}
	s.open[id] = opened{fresh, b.At}
	return fresh, b, nil
}

func (s *Store) connect(b binding.Binding) (service, error) {
	if b.PostgreSQL != nil {
		return openPostgreSQL(b, s.Guard)
	}
	return openHTTP(b, s.Guard)
}

// Call asks the system that a resource is bound to. Its answer may be a refusal of
// its own, by its status. CodeNotBound, CodeProviderUnreachable, or the context's
// error.
func (s *Store) Call(ctx context.Context, id bus.ResourceID, c binding.Call) (*binding.Answer, error) {
	o, b, err := s.service(id)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeoutOf(b))
	answer, err := o.call(ctx, c)
	if err != nil {
		cancel()
		return nil, err
	}
	answer.Body = &binding.Ending{ReadCloser: answer.Body, End: cancel}
	return answer, nil
}

// Probe asks whether the system that a resource is bound to is there.
func (s *Store) Probe(ctx context.Context, id bus.ResourceID) error {
	o, b, err := s.service(id)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeoutOf(b))
	defer cancel()
	return o.probe(ctx)
}

func timeoutOf(b binding.Binding) time.Duration { return time.Duration(b.Timeout) * time.Millisecond }
