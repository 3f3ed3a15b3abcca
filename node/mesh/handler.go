package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/peer"
)

// Node is what a node does for others.
type Node interface {
	Accept(ctx context.Context, from bus.NodeID, entry []byte) (state.Result, error)
	ReadIndex(ctx context.Context) (bus.Revision, error)
	Receive(ctx context.Context, from bus.NodeID, batch exchange.Batch) error
	Recall(ctx context.Context, from bus.NodeID, back exchange.Recall) (received uint64, err error)
	Receipts(ctx context.Context, from bus.NodeID, signed []string) error
	Authority
	Members
	Describer
	Mover
	Witness
	Answerer
}

// Mover takes part in the moves of departments.
type Mover interface {
	Handover(ctx context.Context, from bus.NodeID, ask exchange.Handover) (exchange.Parcel, error)
	SurveyHere(ctx context.Context, from bus.NodeID, id bus.USCC) (exchange.Survey, error)
}

// Authority certifies nodes.
type Authority interface {
	Join(ctx context.Context, request client.JoinRequest) (client.JoinAnswer, error)
	Renew(ctx context.Context, from bus.NodeID, r Renewal) (Certificate, error)
	RootHere(ctx context.Context, from bus.NodeID) (Certificate, error)
}

// Members knows who belongs to the bus.
type Members interface {
	Known(from bus.NodeID) error // nil for a node of the directory: no other is answered
	Member(ctx context.Context, from bus.NodeID, m Membership) (bus.Outlook, error)
}

// Describer tells of a node.
type Describer interface {
	Describe() (Status, error)
	LocateHere(ctx context.Context, from bus.NodeID, q LocateQuery) (LocateAnswer, error)
	TraceHere(ctx context.Context, from bus.NodeID, q TraceQuery) (TraceAnswer, error)
	EvidenceHere(ctx context.Context, from bus.NodeID, q EvidenceQuery) (EvidenceAnswer, error)
	RecordHere(ctx context.Context, from bus.NodeID, q RecordQuery) (RecordAnswer, error)
	ProveHere(ctx context.Context, from bus.NodeID, q ProofQuery) (ProofAnswer, error)
	RollupsHere(ctx context.Context, from bus.NodeID, q RollupQuery) (RollupAnswer, error)
	ExchangesHere(ctx context.Context, from bus.NodeID, q ExchangeQuery) (ExchangeAnswer, error)
}

// Handler answers other nodes.
func Handler(n Node, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+pathEntries, respond(n, logger, func(ctx context.Context, from bus.NodeID, body io.Reader) (state.Result, error) {
		entry, err := io.ReadAll(io.LimitReader(body, command.MaxSize+1))
		if err != nil {
			return state.Result{}, bus.E(bus.CodeInvalid).Because(err)
		}
		return n.Accept(ctx, from, entry)
	}))
	mux.HandleFunc("GET "+pathReadIndex, respond(n, logger, func(ctx context.Context, _ bus.NodeID, _ io.Reader) (ReadIndex, error) {
		index, err := n.ReadIndex(ctx)
		return ReadIndex{index}, err
	}))
	mux.HandleFunc("POST "+pathDeliveries, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, batch exchange.Batch) (struct{}, error) {
		return struct{}{}, n.Receive(ctx, from, batch)
	})))
	mux.HandleFunc("POST "+pathRecalls, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, back exchange.Recall) (Recalled, error) {
		received, err := n.Recall(ctx, from, back)
		return Recalled{received}, err
	})))
	mux.HandleFunc("POST "+pathReceipts, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, r Receipts) (struct{}, error) {
		return struct{}{}, n.Receipts(ctx, from, r.Receipts)
	})))
	mux.HandleFunc("GET "+pathStatus, respond(n, logger, func(context.Context, bus.NodeID, io.Reader) (Status, error) {
		return n.Describe()
	}))
	mux.HandleFunc("POST "+pathTrace, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, q TraceQuery) (TraceAnswer, error) {
		return n.TraceHere(ctx, from, q)
	})))
	mux.HandleFunc("POST "+pathLocate, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, q LocateQuery) (LocateAnswer, error) {
		return n.LocateHere(ctx, from, q)
	})))
	mux.HandleFunc("POST "+pathEvidence, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, q EvidenceQuery) (EvidenceAnswer, error) {
		return n.EvidenceHere(ctx, from, q)
	})))
	mux.HandleFunc("POST "+pathRecord, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, q RecordQuery) (RecordAnswer, error) {
		return n.RecordHere(ctx, from, q)
	})))
	mux.HandleFunc("POST "+pathProve, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, q ProofQuery) (ProofAnswer, error) {
		return n.ProveHere(ctx, from, q)
	})))
	mux.HandleFunc("POST "+pathRollups, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, q RollupQuery) (RollupAnswer, error) {
		return n.RollupsHere(ctx, from, q)
	})))
	mux.HandleFunc("POST "+pathExchanges, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, q ExchangeQuery) (ExchangeAnswer, error) {
		return n.ExchangesHere(ctx, from, q)
	})))
	mux.HandleFunc("POST "+pathJoin, respond(n, logger, asking(func(ctx context.Context, _ bus.NodeID, r client.JoinRequest) (client.JoinAnswer, error) {
		return n.Join(ctx, r)
	})))
	mux.HandleFunc("POST "+pathMembers, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, m Membership) (bus.Outlook, error) {
		return n.Member(ctx, from, m)
	})))
	mux.HandleFunc("POST "+pathRenew, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, r Renewal) (Certificate, error) {
		return n.Renew(ctx, from, r)
	})))
	mux.HandleFunc("POST "+pathRoots, respond(n, logger, func(ctx context.Context, from bus.NodeID, _ io.Reader) (Certificate, error) {
		return n.RootHere(ctx, from)
	}))
	mux.HandleFunc("POST "+pathHandovers, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, ask exchange.Handover) (exchange.Parcel, error) {
		return n.Handover(ctx, from, ask)
	})))
	mux.HandleFunc("POST "+pathSurveys, respond(n, logger, asking(func(ctx context.Context, from bus.NodeID, q SurveyQuery) (exchange.Survey, error) {
		return n.SurveyHere(ctx, from, q.Department)
	})))
	mux.HandleFunc("POST "+pathWitness, cosign(n, logger))
	mux.HandleFunc("POST "+pathQueries, answers(n, logger))
	return mux
}

// asking reads the body as a B.
func asking[B, A any](do func(context.Context, bus.NodeID, B) (A, error)) func(context.Context, bus.NodeID, io.Reader) (A, error) {
	return func(ctx context.Context, from bus.NodeID, body io.Reader) (answer A, err error) {
		var b B
		if err := decode(body, &b); err != nil {
			return answer, err
		}
		return do(ctx, from, b)
	}
}

// respond answers with what do returns: 200 and JSON, or a failure.
func respond[A any](members Members, logger *slog.Logger, do func(context.Context, bus.NodeID, io.Reader) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, ok := peer.FromContext(r.Context())
		if !ok { // never: the listener hands out peer connections only
			http.Error(w, "not a peer connection", http.StatusForbidden)
			return
		}
		var answer A
		err := members.Known(from)
		if err == nil {
			answer, err = do(r.Context(), from, http.MaxBytesReader(w, r.Body, bodyCap))
		}
		if err == nil {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(answer) // a peer that went away asks again
			return
		}
		refuse(w, r, from, logger, err)
	}
}

// refuse answers with a failure.
func refuse(w http.ResponseWriter, r *http.Request, from bus.NodeID, logger *slog.Logger, err error) {
	e, known := errors.AsType[*bus.Error](err)
	if !known {
		e = bus.E(bus.CodeInternal)
	}
	if e.Code.Kind() == bus.KindInternal {
		logger.Error("peer request failed", "from", from, "path", r.URL.Path, "error", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnprocessableEntity)
	_ = json.NewEncoder(w).Encode(failure{e.Code, e.Defects, e.DecisionID, e.RetryAfter}) // a peer that went away
}
