package exchange

import (
	"context"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

// DecideForward takes the decision that forwarding for a subscription needs: read
// from the directory, and decided.
func (x *Exchange) DecideForward(ctx context.Context, id bus.SubscriptionID) (bus.Decision, error) {
	f, _, err := x.flowOf(id)
	if err != nil {
		return bus.Decision{}, err
	}
	f.input.Action, f.input.Stage = policy.ActionForward, policy.StageProvider
	if err := x.aged(&f.input); err != nil {
		return bus.Decision{}, err
	}
	return x.decide(ctx, f), nil
}

// Queued is how many steps wait for the next commit.
func (s *Store) Queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// Trim lets go what need not be kept.
func (x *Exchange) Trim(ctx context.Context) error { return x.trim(ctx) }

// Row is one of a parcel.
type Row = row

// Sign gives a parcel the digest of its rows.
func (p *Parcel) Sign() { p.Digest = p.digest() }

// ForgetEnded does so at once, and reports whether it could.
func (x *Exchange) ForgetEnded(ctx context.Context) (done bool, err error) { return x.forgetEnded(ctx) }
