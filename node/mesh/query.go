package mesh

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/peer"
)

const pathQueries = "/peer/v1/queries" // POST: a query, to the provider's node

// The answer to a query is an event in binary mode (CloudEvents HTTP binding §3.1):
// its attributes are headers, its data the body. What it came to is told after that,
// in a trailer: an answer without one was cut off. A short answer has that and its size
// in its headers. The end of either is not sent before the answer is on record.
const (
	answerType     = "cn.gxbus.answer.v1"
	headerStatus   = "Ce-Gxbusstatus"
	headerDecision = "Ce-Gxbusdecision"
	headerRequest  = "Ce-Gxbusdigest" // of the query
	headerApplied  = "Ce-Gxbusapplied"
	headerMark     = "Ce-Gxbuswatermark"
	headerPrefix   = "Gxbus-Answer-" // before each header of the provider's system
	fieldOutcome   = "Gxbus-Outcome"
	headerSize     = "Gxbus-Size"
	wholeBytes     = 32 << 10 // of a short answer at most
)

// A query is an event in structured mode, sent before it is on record. That it is, and
// since when it is asked, is told in a trailer after it: nothing is done about one without.
const trailerBegan = "Gxbus-Began"

// Answerer answers queries.
type Answerer interface {
	Answer(ctx context.Context, from bus.NodeID, query event.Event, recorded exchange.Recorded) (*exchange.Reply, error)
}

// answers handles queries.
func answers(n Node, logger *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, ok := peer.FromContext(r.Context())
		if !ok { // never, as in respond
			http.Error(w, "not a peer connection", http.StatusForbidden)
			return
		}
		reply, err := answer(w, r, n, from)
		if err != nil {
			refuse(w, r, from, logger, err)
			return
		}
		defer reply.Body.Close()
		switch begun, err := pass(w, reply); {
		case err != nil && !begun:
			refuse(w, r, from, logger, err)
		case err != nil:
			panic(http.ErrAbortHandler) // the answer must not look whole
		}
	}
}

// pass sends an answer, if nothing fails before it has begun.
func pass(w http.ResponseWriter, reply *exchange.Reply) (begun bool, err error) {
	piece := make([]byte, wholeBytes)
	some, err := io.ReadFull(reply.Body, piece)
	whole := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !whole {
		return false, err
	}
	h := w.Header()
	tell(h, reply)
	if whole {
		h.Set(headerSize, strconv.Itoa(some))
		h.Set(fieldOutcome, outcomeOf(reply))
	} else {
		h.Set("Trailer", fieldOutcome)
	}
	_, err = w.Write(piece[:some])
	switch {
	case err != nil:
	case whole: // the other node has work to do with it while its record is written here
		err = http.NewResponseController(w).Flush()
	default:
		_, err = io.CopyBuffer(w, reply.Body, piece)
	}
	if err == nil {
		err = reply.Kept()
	}
	if err == nil && !whole {
		h.Set(fieldOutcome, outcomeOf(reply))
	}
	return true, err
}

func outcomeOf(reply *exchange.Reply) string {
	outcome, _ := reply.Outcome()
	told, _ := json.Marshal(outcome)
	return string(told)
}

func answer(w http.ResponseWriter, r *http.Request, n Node, from bus.NodeID) (*exchange.Reply, error) {
	if err := n.Known(from); err != nil {
		return nil, err
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(callTimeout)); err != nil {
		return nil, err
	}
	body := jsontext.NewDecoder(io.LimitReader(r.Body, bodyCap))
	text, err := body.ReadValue()
	if err != nil {
		return nil, bus.E(bus.CodeMalformedJSON).Because(err)
	}
	query, err := event.Unmarshal(text)
	if err != nil {
		return nil, err
	}
	return n.Answer(r.Context(), from, query, func() (began time.Time, err error) {
		if _, err = body.ReadToken(); errors.Is(err, io.EOF) {
			began, err = time.Parse(time.RFC3339Nano, r.Trailer.Get(trailerBegan))
		}
		if err != nil || began.IsZero() {
			return began, bus.E(bus.CodeInvalid, bus.Defect{Field: "query", Problem: bus.Text{ZH: "未说明已留痕", EN: "does not say that it is on record"}}).Because(err)
		}
		return began, control.SetReadDeadline(time.Time{}) // it would end the answer
	})
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
		headerApplied: reply.Applied, headerMark: reply.Watermark,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
}

// question is the body of a query. Its end is told once it is on record here, and a
// query without its end is none.
type question struct {
	event    *bytes.Reader
	recorded exchange.Recorded
	trailer  http.Header
}

// Read gives the event, and then waits.
func (q *question) Read(p []byte) (int, error) {
	n, err := q.event.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	began, failed := q.recorded()
	if failed != nil {
		return 0, failed
	}
	q.trailer.Set(trailerBegan, began.Format(time.RFC3339Nano))
	return 0, io.EOF
}

// Query asks the node of a resource's provider. It has no time limit but ctx's.
func (c *Client) Query(ctx context.Context, to bus.NodeID, query event.Event, recorded exchange.Recorded) (*exchange.Reply, error) {
	data, err := event.Marshal(query)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+string(to)+pathQueries, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", event.ContentTypeEvent)
	request.Trailer, request.ContentLength = http.Header{trailerBegan: nil}, -1
	request.GetBody = func() (io.ReadCloser, error) {
		return io.NopCloser(&question{bytes.NewReader(data), recorded, request.Trailer}), nil
	}
	request.Body, _ = request.GetBody()
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
	told := &response.Trailer // what is there after the body
	if size, err := strconv.ParseInt(response.Header.Get(headerSize), 10, 64); err == nil {
		told = &response.Header
		reply.Body = short{io.LimitReader(response.Body, size), response.Body}
	}
	reply.Outcome = func() (o exchange.Outcome, err error) {
		return o, json.Unmarshal([]byte(told.Get(fieldOutcome)), &o)
	}
	reply.Kept = func() error {
		if _, err := io.ReadFull(response.Body, make([]byte, 1)); !errors.Is(err, io.EOF) {
			return cmp.Or(err, errors.New("more than it was told to be"))
		}
		return nil
	}
	return reply, nil
}

// short is an answer whose end is not waited for.
type short struct {
	io.Reader
	io.Closer
}
