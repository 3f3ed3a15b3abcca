package mesh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
)

const callTimeout = 15 * time.Second

// Client asks other nodes. An answer that is a refusal comes back as the
// *bus.Error it was; a node that cannot be reached is bus.CodePeerUnreachable.
type Client struct {
	http    *http.Client
	patient *http.Client // without a time limit of its own
}

// NewClient makes a client over round trippers that dial by node id, one of them for
// queries.
func NewClient(rt, queries http.RoundTripper) *Client {
	patient := http.Client{Transport: queries, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	hurried := patient
	hurried.Transport, hurried.Timeout = rt, callTimeout
	return &Client{&hurried, &patient}
}

// Forward takes a directory entry to the leader.
func (c *Client) Forward(ctx context.Context, leader bus.NodeID, entry []byte) (state.Result, error) {
	return call[state.Result](ctx, c, leader, http.MethodPost, pathEntries, encoded(entry))
}

// ReadIndex asks the leader for an index that shows every acknowledged write.
func (c *Client) ReadIndex(ctx context.Context, leader bus.NodeID) (bus.Revision, error) {
	answer, err := call[ReadIndex](ctx, c, leader, http.MethodGet, pathReadIndex, nil)
	return answer.Index, err
}

// Deliver takes a batch to the consumer's node; nil once it is on the disk there.
func (c *Client) Deliver(ctx context.Context, to bus.NodeID, batch exchange.Batch) error {
	_, err := call[struct{}](ctx, c, to, http.MethodPost, pathDeliveries, batch)
	return err
}

// Recall takes batches back from the consumer's node, which tells what it has received.
func (c *Client) Recall(ctx context.Context, to bus.NodeID, back exchange.Recall) (received uint64, err error) {
	answer, err := call[Recalled](ctx, c, to, http.MethodPost, pathRecalls, back)
	return answer.Received, err
}

// Receipts takes receipts to the provider's node.
func (c *Client) Receipts(ctx context.Context, to bus.NodeID, signed []string) error {
	_, err := call[struct{}](ctx, c, to, http.MethodPost, pathReceipts, Receipts{signed})
	return err
}

// Status asks a node for its state.
func (c *Client) Status(ctx context.Context, of bus.NodeID) (Status, error) {
	return call[Status](ctx, c, of, http.MethodGet, pathStatus, nil)
}

// Locate asks a node where it keeps an event.
func (c *Client) Locate(ctx context.Context, of bus.NodeID, q LocateQuery) (LocateAnswer, error) {
	return call[LocateAnswer](ctx, c, of, http.MethodPost, pathLocate, q)
}

// Trace asks a node for what it recorded of an event.
func (c *Client) Trace(ctx context.Context, of bus.NodeID, q TraceQuery) (TraceAnswer, error) {
	return call[TraceAnswer](ctx, c, of, http.MethodPost, pathTrace, q)
}

// Evidence asks a node, in somebody's name, for what it recorded.
func (c *Client) Evidence(ctx context.Context, of bus.NodeID, q EvidenceQuery) (EvidenceAnswer, error) {
	return call[EvidenceAnswer](ctx, c, of, http.MethodPost, pathEvidence, q)
}

// Record asks a node, in somebody's name, for its half of the operational record.
func (c *Client) Record(ctx context.Context, of bus.NodeID, q RecordQuery) (RecordAnswer, error) {
	return call[RecordAnswer](ctx, c, of, http.MethodPost, pathRecord, q)
}

// Prove asks a node to prove what it recorded.
func (c *Client) Prove(ctx context.Context, of bus.NodeID, q ProofQuery) (ProofAnswer, error) {
	return call[ProofAnswer](ctx, c, of, http.MethodPost, pathProve, q)
}

// Handover fetches from the node that a department moves from.
func (c *Client) Handover(ctx context.Context, from bus.NodeID, ask exchange.Handover) (exchange.Parcel, error) {
	return call[exchange.Parcel](ctx, c, from, http.MethodPost, pathHandovers, ask)
}

// Survey asks a node what it keeps for a department.
func (c *Client) Survey(ctx context.Context, of bus.NodeID, id bus.USCC) (exchange.Survey, error) {
	return call[exchange.Survey](ctx, c, of, http.MethodPost, pathSurveys, SurveyQuery{id})
}

// Rollups asks a node what its evidence says of days.
func (c *Client) Rollups(ctx context.Context, of bus.NodeID, q RollupQuery) (RollupAnswer, error) {
	return call[RollupAnswer](ctx, c, of, http.MethodPost, pathRollups, q)
}

// Exchanges asks a node for the exchanges behind a difference.
func (c *Client) Exchanges(ctx context.Context, of bus.NodeID, q ExchangeQuery) (ExchangeAnswer, error) {
	return call[ExchangeAnswer](ctx, c, of, http.MethodPost, pathExchanges, q)
}

// Join asks the node that holds the CA to take a new node in.
func (c *Client) Join(ctx context.Context, ca bus.NodeID, request client.JoinRequest) (client.JoinAnswer, error) {
	return call[client.JoinAnswer](ctx, c, ca, http.MethodPost, pathJoin, request)
}

// Member asks the leader what a step would make of the quorum, or to hand over.
func (c *Client) Member(ctx context.Context, leader bus.NodeID, m Membership) (bus.Outlook, error) {
	return call[bus.Outlook](ctx, c, leader, http.MethodPost, pathMembers, m)
}

// Renew asks the node that holds the CA for a new certificate.
func (c *Client) Renew(ctx context.Context, ca bus.NodeID, r Renewal) (Certificate, error) {
	return call[Certificate](ctx, c, ca, http.MethodPost, pathRenew, r)
}

// NewRoot has a node make the key of a new root; it is none until the directory
// has it.
func (c *Client) NewRoot(ctx context.Context, holder bus.NodeID) (Certificate, error) {
	return call[Certificate](ctx, c, holder, http.MethodPost, pathRoots, struct{}{})
}

// encoded is a body that is sent as it is: an entry of the log is not one JSON value.
type encoded []byte

func call[A any](ctx context.Context, c *Client, to bus.NodeID, method, path string, body any) (answer A, err error) {
	var reader io.Reader
	switch body := body.(type) {
	case nil:
	case encoded:
		reader = bytes.NewReader(body)
	default:
		data, err := json.Marshal(body)
		if err != nil {
			return answer, fmt.Errorf("encode %s: %w", path, err)
		}
		reader = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+string(to)+path, reader)
	if err != nil {
		return answer, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer, unreachable(to, err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return answer, decode(response.Body, &answer)
	}
	return answer, refused(to, response)
}

// refused is the error that an answer is.
func refused(to bus.NodeID, response *http.Response) error {
	var f failure
	if err := decode(response.Body, &f); err != nil || f.Code == "" {
		return bus.E(bus.CodeUnavailable).Because(errors.Join(fmt.Errorf("node %s answered %s", to, response.Status), err))
	}
	e := bus.E(f.Code, f.Defects...)
	e.DecisionID, e.RetryAfter = f.DecisionID, f.RetryAfter
	return e
}
