package mesh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/peer"
)

const pathQueries = "/peer/v1/queries" // POST: a query, to the provider's node

// The answer to a query is an event in binary mode (CloudEvents HTTP binding §3.1):
// its attributes are headers, its data the body. What it came to is told after that,
// in a trailer: an answer without one was cut off.
const (
	answerType     = "cn.gxbus.answer.v1"
	headerStatus   = "Ce-Gxbusstatus"
	headerDecision = "Ce-Gxbusdecision"
	headerRequest  = "Ce-Gxbusdigest" // of the query
	headerApplied  = "Ce-Gxbusapplied"
	headerMark     = "Ce-Gxbuswatermark"
	headerPrefix   = "Gxbus-Answer-" // before each header of the provider's system
	trailerOutcome = "Gxbus-Outcome"
)

// Answerer answers queries.
type Answerer interface {
	Answer(ctx context.Context, from bus.NodeID, query event.Event) (*exchange.Reply, error)
}

// answers handles queries.
func answers(n Node, logger *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, ok := peer.FromContext(r.Context())
		if !ok { // never, as in respond
			http.Error(w, "not a peer connection", http.StatusForbidden)
			return
		}
		reply, err := answer(r, n, from)
		if err != nil {
			refuse(w, r, from, logger, err)
			return
		}
		defer reply.Body.Close()
		piece := make([]byte, 32<<10)
		some, err := reply.Body.Read(piece) // what fails before anything is sent is told as that
		if err != nil && !errors.Is(err, io.EOF) {
			refuse(w, r, from, logger, err)
			return
		}
		tell(w.Header(), reply)
		_, failed := w.Write(piece[:some])
		if err == nil && failed == nil {
			_, failed = io.CopyBuffer(w, reply.Body, piece)
		}
		if failed != nil {
			panic(http.ErrAbortHandler) // the answer must not look whole
		}
		outcome, _ := reply.Outcome()
		told, _ := json.Marshal(outcome)
		w.Header().Set(trailerOutcome, string(told))
	}
}

func answer(r *http.Request, n Node, from bus.NodeID) (*exchange.Reply, error) {
	if err := n.Known(from); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyCap))
	if err != nil {
		return nil, bus.E(bus.CodeInvalid).Because(err)
	}
	query, err := event.Unmarshal(body)
	if err != nil {
		return nil, err
	}
	return n.Answer(r.Context(), from, query)
}

// tell puts into headers what goes before the data of an answer.
func tell(h http.Header, reply *exchange.Reply) {
	for name, values := range reply.Header {
		h[headerPrefix+name] = values
	}
	h.Set("Ce-Specversion", "1.0")
	h.Set("Ce-Type", answerType)
	h.Set("Ce-Id", reply.Correlation)
	h.Set("Ce-Source", "/queries")
	h.Set("Content-Type", reply.Header.Get("Content-Type"))
	for name, value := range map[string]string{
		headerStatus: strconv.Itoa(reply.Status), headerDecision: reply.Decision, headerRequest: reply.Request,
		headerApplied: reply.Applied, headerMark: reply.Watermark, "Trailer": trailerOutcome,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
}

// Query asks the node of a resource's provider. It has no time limit but ctx's.
func (c *Client) Query(ctx context.Context, to bus.NodeID, query event.Event) (*exchange.Reply, error) {
	data, err := event.Marshal(query)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+string(to)+pathQueries, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", event.ContentTypeEvent)
	response, err := c.patient.Do(request)
	if err != nil {
		return nil, unreachable(to, err)
	}
	status, err := strconv.Atoi(response.Header.Get(headerStatus))
	if response.StatusCode != http.StatusOK || err != nil || status < http.StatusOK || status > 599 {
		defer response.Body.Close()
		return nil, refused(to, response)
	}
	reply := &exchange.Reply{
		Status: status, Header: http.Header{}, Applied: response.Header.Get(headerApplied), Watermark: response.Header.Get(headerMark), Body: response.Body,
	}
	for name, values := range response.Header {
		if own, ok := strings.CutPrefix(name, headerPrefix); ok {
			reply.Header[own] = values
		}
	}
	reply.Header = binding.Kept(reply.Header) // as the provider's node did, if it is what it should be
	reply.Header.Del("Location")
	reply.Outcome = func() (o exchange.Outcome, err error) {
		return o, json.Unmarshal([]byte(response.Trailer.Get(trailerOutcome)), &o)
	}
	return reply, nil
}
