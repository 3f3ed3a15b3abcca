package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/decision"
	"github.com/gxbus/gxbus/pkg/decision/replay"
)

// A replay goes by stretches, so that it holds up neither the exchange nor the
// exchange file: a stretch ends after a while, or with many flips found, and the
// caller asks for the next. In between, and within, the exchange has the machine
// at least half of the time.
const (
	stretchTime  = 2 * time.Second
	stretchFlips = 2_000
	turn         = 10 * time.Millisecond
)

func (a *API) addReplay(h huma.API) {
	op := huma.Operation{
		OperationID: "replay-layer", Method: http.MethodPost, Path: "/api/v1/policies/replay", Tags: []string{"policies"},
		Summary:     "Show which recorded decisions a draft of a layer would change",
		Description: "Nothing is stored. An answer covers a stretch of this node's evidence; with next as cursor the following one is asked for.",
	}
	handle(a, h, describes[client.ReplayRequest](a, h, op), func(ctx context.Context, p bus.Principal, in *Sent[client.ReplayRequest]) (*answer[decision.Replayed], error) {
		if err := only(bus.RoleSecurityAdministrator, p); err != nil {
			return nil, err
		}
		request, err := in.decode()
		if err != nil {
			return nil, err
		}
		select {
		case a.replaying <- struct{}{}:
			defer func() { <-a.replaying }()
		default:
			return nil, bus.E(bus.CodeRateLimited, bus.Defect{Field: "replay", Problem: bus.Text{ZH: "另一次回放正在进行", EN: "another replay is running"}, Allowed: "one at a time"})
		}
		part, err := a.replay(ctx, request)
		if err == nil && request.Cursor == "" {
			err = a.record(ctx, p, audit.KindAdministered, "", "layer.replay "+string(request.Layer.ID))
		}
		return &answer[decision.Replayed]{Body: part}, err
	})
}

func (a *API) replay(ctx context.Context, in client.ReplayRequest) (part decision.Replayed, err error) {
	part.Flips, part.Unclear = []decision.Flip{}, []decision.Undecided{}
	draft, problems := a.Policy.Candidate(ctx, in.Layer)
	if len(problems) > 0 {
		refusal := bus.E(bus.CodePolicyRefused)
		for _, problem := range problems {
			refusal.Defects = append(refusal.Defects, bus.Defect{Field: problem.Where(), Problem: problem.Message})
		}
		return part, refusal
	}
	var places [2]int64 // where to go on, and the end, which stays that of the first stretch
	if in.Cursor != "" {
		if err := readCursor(in.Cursor, places[:]); err != nil {
			return part, err
		}
	}
	r := &replay.Replayer{Draft: draft, Since: in.Since, Until: in.Until}
	err = a.Exchange.ReadEvidence(func(log *audit.Reader) error {
		size, err := log.Size()
		if err != nil {
			return err
		}
		at, end := places[0], min(places[1], size)
		if in.Cursor == "" {
			end = size
		}
		at, err = stretch(ctx, r, &part, log, at, end)
		part.Done, part.Total = at, end
		if at < end {
			part.Next = cursor(at, end)
		}
		return err
	})
	return part, err
}

// stretch replays the leaves from at on, and returns where to go on.
func stretch(ctx context.Context, r *replay.Replayer, part *decision.Replayed, log *audit.Reader, at, end int64) (int64, error) {
	begin := time.Now()
	worked := begin
	for ; at < end && len(part.Flips)+len(part.Unclear) < stretchFlips; at++ {
		if now := time.Now(); now.Sub(begin) > stretchTime {
			break
		} else if now.Sub(worked) > turn {
			rest := time.NewTimer(now.Sub(worked))
			select {
			case <-rest.C:
			case <-ctx.Done():
				rest.Stop()
				return at, ctx.Err()
			}
			worked = time.Now()
		}
		leaf, ok, err := log.DecisionAt(at)
		if err != nil {
			return at, err
		}
		if ok {
			if err := r.Add(ctx, part, leaf, log); err != nil {
				return at, err
			}
		}
	}
	return at, nil
}
