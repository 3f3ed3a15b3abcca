package exchange

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

const (
	heldBack   = 64 << 10    // of an answer, until its end is on record
	rowBytes   = 1 << 20     // of one row at most, or of an answer that is one
	problemMax = 64 << 10    // of an answer that is a refusal
	lookAgain  = time.Second // between two decisions on an answer that goes on
	rawBytes   = 32 << 10    // read at a time of what is not JSON
)

// obliging gives what obligations leave of an answer, row by row, without holding it
// all. At the consumer's node its last bytes go out once the record of the whole is
// durable, here and at the provider's node; at that one they go to the other node while
// the record is written. Whoever reads it sees an error, not an end, where the answer broke
// off, its record fails or the decision no longer stands.
type obliging struct {
	asking *asking
	ctx    context.Context
	source io.ReadCloser
	reply  *Reply
	next   func() error // puts the next piece into out; io.EOF at the end

	enforced *enforcement // nil: all passes
	rows     int          // cap; 0: none here
	bytes    int64        // likewise
	budget   *budget
	decoder  *jsontext.Decoder
	array    bool

	upstream  func() (Outcome, error) // of the provider's node, at the consumer's
	confirmed func() error            // likewise: waits until it is on record there

	out     bytes.Buffer
	sum     hash.Hash
	size    int64
	result  Outcome
	left    int // rows left out
	looked  time.Time
	ended   bool
	failure error
	kept    func() error // waits for the record, once ended; nil: it is there
}

// obliging makes an answer ready. It refuses one whose form obligations cannot be
// applied to.
func (a *asking) obliging(ctx context.Context, reply *Reply, rows int, bytes int64) (*obliging, error) {
	o := &obliging{asking: a, ctx: ctx, source: reply.Body, reply: reply, rows: rows, bytes: bytes, upstream: reply.Outcome, confirmed: reply.Kept, sum: sha256.New(), looked: a.x.Now()}
	second := a.stage == policy.StageConsumer
	enforced, err := newEnforcement(a.decision.Obligations, site{second: second, key: a.key})
	if err != nil {
		return nil, err
	}
	if second && reply.Applied != "" {
		enforced = enforced.after(reply.Applied)
	}
	if !a.flow.free(a.decision.Obligations) {
		o.enforced = enforced
	}
	if !second {
		reply.Applied = enforced.mark
	}
	if reply.Watermark == "" {
		reply.Watermark = a.mark
	}
	o.budget = &budget{source: reply.Body, sum: sha256.New()}
	switch {
	case reply.Status >= http.StatusBadRequest && o.enforced != nil:
		o.next = o.problem
	case jsonAnswer(reply.Header):
		o.decoder, o.next = jsontext.NewDecoder(o.budget), o.begin
	case o.enforced == nil, reply.Header.Get("Content-Type") == "": // that without a type must have no body
		o.next = o.raw
	default:
		return nil, unenforceable("answer", "")
	}
	return o, nil
}

func jsonAnswer(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

func (o *obliging) outcome() (Outcome, error) { return o.result, o.failure }

// waits waits until the answer, which has ended, is on record.
func (o *obliging) waits() error {
	if o.kept == nil {
		return o.failure
	}
	return o.kept()
}

// Read gives more of the answer.
func (o *obliging) Read(p []byte) (int, error) {
	for !o.ended && o.out.Len() < heldBack+len(p) {
		o.step()
	}
	if o.failure != nil {
		return 0, o.failure
	}
	if !o.ended { // what is held back stays
		return copy(p, o.out.Next(min(len(p), o.out.Len()-heldBack))), nil
	}
	return o.out.Read(p)
}

// step takes in one more piece, or ends the answer.
func (o *obliging) step() {
	before := o.out.Len()
	err := o.next()
	o.sum.Write(o.out.Bytes()[before:])
	if o.size += int64(o.out.Len() - before); err == nil {
		err = o.stands()
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		o.end(nil)
	default:
		o.end(o.told(err))
	}
}

// told is the error of an answer that cannot be passed on, as the caller sees it.
func (o *obliging) told(err error) error {
	if _, known := errors.AsType[*bus.Error](err); known {
		return err
	}
	switch cause := context.Cause(o.ctx); {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(cause, context.DeadlineExceeded):
		return bus.E(bus.CodeLate).Because(err)
	case cause != nil:
		return bus.E(bus.CodeUnavailable).Because(cause)
	case errors.Is(err, errRow):
		return bus.E(bus.CodeProviderAnswer, bus.Defect{Field: "answer", Problem: bus.Text{ZH: "单行过大", EN: "a row is too large"}, Allowed: "1 MiB"})
	}
	if _, ok := errors.AsType[*jsontext.SyntacticError](err); ok && !errors.Is(err, io.ErrUnexpectedEOF) {
		return bus.E(bus.CodeProviderAnswer, bus.Defect{Field: "answer", Problem: bus.Text{ZH: "不是 JSON", EN: "is not JSON"}, Allowed: "an object or an array of objects"})
	}
	return binding.Unreachable(errBroke) // the error itself may name the system's address
}

// end puts on record what the answer came to. A whole one is put on record at both nodes
// at once: the provider's tells the outcome and then, when it is so, that it is on record.
func (o *obliging) end(failure error) {
	o.ended = true
	a := o.asking
	o.result.Digest = digestText(o.sum.Sum(nil))
	if a.stage == policy.StageProvider {
		o.result.Points = a.points
	}
	if failure == nil && o.upstream != nil {
		failure = o.compare()
	}
	record := a.answered()
	record.Events, record.Rows, record.Status, record.Digest = o.result.Rows, o.left, o.reply.Status, o.result.Digest
	if o.result.Cut {
		record.Detail = "cut at a cap"
	}
	if failure != nil {
		record.Code = bus.CodeOf(failure)
	}
	if failure == nil && a.stage == policy.StageProvider {
		written, unwritten := make(chan struct{}), error(nil)
		o.kept = func() error {
			<-written
			return unwritten
		}
		go func() {
			defer close(written)
			unwritten = o.enter(record, o.result.Rows > 0)
		}()
		return
	}
	if err := o.enter(record, false); err != nil || failure != nil {
		o.failure = errors.Join(failure, err)
	} else if o.confirmed != nil {
		if err := o.confirmed(); err != nil { // what is on record here is not so: it is never handed out
			record.Code, record.Detail = bus.CodeUnavailable, "the provider's node did not tell that it is on record there"
			o.failure = errors.Join(cutOff(err), o.enter(record, false))
		}
	}
	if o.failure != nil {
		o.out.Reset()
	}
}

// enter puts the end of the answer on record, and that it may be the first of its grant.
func (o *obliging) enter(record audit.Record, first bool) error {
	x, flow := o.asking.x, o.asking.flow
	err := x.Store.Commit(context.WithoutCancel(o.ctx), func(tx *bbolt.Tx) error {
		if first {
			if err := x.noteFirst(tx, flow); err != nil {
				return err
			}
		}
		return x.append(tx, record)
	})
	if err == nil && first && flow.undelivered {
		poke(x.firsts)
	}
	return err
}

// compare takes over what the provider's node says that the answer came to, and refuses
// one that did not arrive as it was sent.
func (o *obliging) compare() error {
	sent, err := o.upstream()
	if err != nil || sent.Digest != digestText(o.budget.sum.Sum(nil)) {
		return cutOff(err)
	}
	o.result.Cut, o.asking.points = sent.Cut, sent.Points
	return nil
}

func cutOff(err error) error {
	return bus.E(bus.CodeUnavailable, bus.Defect{Field: "answer", Problem: bus.Text{ZH: "传输中断", EN: "was cut off on its way"}}).Because(err)
}

// stands refuses to go on once the decision does not stand: it is asked again every
// second of an answer that goes on.
func (o *obliging) stands() error {
	now := o.asking.x.Now()
	if now.Sub(o.looked) < lookAgain {
		return nil
	}
	o.looked = now
	a := o.asking
	stands, err := a.stands(o.ctx, a.flow.consumer.node)
	if err == nil && !stands {
		err = bus.E(bus.CodeUndecided)
	}
	return err
}

// Close ends the call. An answer that nobody reads to its end is on record as that.
func (o *obliging) Close() error {
	err := o.source.Close()
	if !o.ended {
		o.end(bus.E(bus.CodeUnavailable))
	}
	if o.kept != nil {
		_ = o.kept() // whoever has to know has asked
	}
	return err
}

// begin reads the start of a JSON answer.
func (o *obliging) begin() error {
	o.budget.left = rowBytes
	switch o.decoder.PeekKind() {
	case '[':
		o.array, o.next = true, o.row
		_, err := o.decoder.ReadToken()
		o.out.WriteByte('[')
		return err
	case '{':
		o.next = o.rest
		return o.take()
	}
	if _, err := o.decoder.ReadToken(); err != nil {
		return err // nothing at all is no answer, and no fault
	}
	if o.enforced != nil {
		return unenforceable("answer", "")
	}
	return bus.E(bus.CodeProviderAnswer, bus.Defect{Field: "answer", Problem: bus.Text{ZH: "既不是对象也不是数组", EN: "neither an object nor an array"}, Allowed: "an object or an array of objects"})
}

// row reads the next row of an array, or its end.
func (o *obliging) row() error {
	o.budget.left = rowBytes
	switch {
	case o.decoder.PeekKind() == ']':
		if _, err := o.decoder.ReadToken(); err != nil {
			return err
		}
		o.out.WriteByte(']')
		o.next = o.rest
		return nil
	case o.full():
		o.result.Cut = true
		o.out.WriteByte(']')
		return io.EOF
	}
	return o.take()
}

func (o *obliging) full() bool {
	return o.rows > 0 && o.result.Rows >= o.rows || o.bytes > 0 && o.size >= o.bytes
}

// take reads one value, and writes what is left of it.
func (o *obliging) take() error {
	value, err := o.decoder.ReadValue()
	if err != nil {
		return err
	}
	comma := o.array && o.result.Rows > 0
	if o.enforced == nil {
		if comma {
			o.out.WriteByte(',')
		}
		o.out.Write(strictjson.AppendCompact(nil, value))
		o.result.Rows++
		return nil
	}
	if strictjson.Kind(value) != '{' {
		return unenforceable("answer", "")
	}
	if err := strictjson.Check(value, strictjson.Limits{}); err != nil {
		return unenforceable("answer", "").Because(err)
	}
	if !o.enforced.read(value) {
		o.left++
		return nil
	}
	if comma {
		o.out.WriteByte(',')
	}
	o.out.Write(o.enforced.append(o.out.AvailableBuffer()))
	o.result.Rows++
	return nil
}

// rest refuses what follows the answer.
func (o *obliging) rest() error {
	o.budget.left = rowBytes
	_, err := o.decoder.ReadToken()
	if err == nil {
		return bus.E(bus.CodeProviderAnswer, bus.Defect{Field: "answer", Problem: bus.Text{ZH: "后有多余内容", EN: "is followed by something else"}, Allowed: "one JSON value"})
	}
	return err
}

// raw passes on what is not JSON, where nothing has to be done to it.
func (o *obliging) raw() error {
	piece := make([]byte, rawBytes)
	o.budget.left = rawBytes
	n, err := o.budget.Read(piece)
	if n > 0 && o.enforced != nil {
		return unenforceable("answer", "")
	}
	if o.bytes > 0 && o.size+int64(n) > o.bytes {
		return bus.E(bus.CodeProviderAnswer, bus.Defect{Field: "answer", Problem: bus.Text{ZH: "过大", EN: "is too large"}, Allowed: "as many bytes as the binding passes on"})
	}
	o.out.Write(piece[:n])
	return err
}

// problemMembers are what passes of a refusal of the provider's system, beside which
// nothing in it is known to be anything but data (RFC 9457, and what else is common).
var problemMembers = map[string]bool{
	"type": true, "title": true, "status": true, "detail": true, "instance": true, "code": true, "message": true, "msg": true, "error": true,
}

// problem passes on what a refusal of the provider's system says of itself.
func (o *obliging) problem() error {
	o.budget.left = problemMax
	body, err := io.ReadAll(o.budget)
	if err != nil {
		return err
	}
	if jsonAnswer(o.reply.Header) && strictjson.Check(body, strictjson.Limits{}) == nil && strictjson.Kind(body) == '{' {
		o.out.Write(o.asking.flow.problem(body))
		return io.EOF
	}
	o.reply.Header.Del("Content-Type")
	return io.EOF
}

// problem leaves of a refusal its own words: of those that the resource has as items
// none.
func (f flow) problem(body []byte) []byte {
	items := map[string]bool{}
	for _, it := range f.resource.Items {
		items[string(it.ID)] = true
	}
	left := []byte{'{'}
	for name, value := range strictjson.Members(body) {
		if kind := strictjson.Kind(value); !problemMembers[name] || items[name] || kind == '{' || kind == '[' {
			continue
		}
		if len(left) > 1 {
			left = append(left, ',')
		}
		left = append(strictjson.AppendString(left, name), ':')
		left = strictjson.AppendCompact(left, value)
	}
	return append(left, '}')
}

// budget reads no more than is left of what one piece may have.
type budget struct {
	source io.Reader
	left   int
	sum    hash.Hash // of all that was read
}

var errBroke = errors.New("the answer broke off")

var errRow = errors.New("more than one piece of an answer may have")

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errRow
	}
	n, err := b.source.Read(p[:min(len(p), b.left)])
	b.left -= n
	b.sum.Write(p[:n])
	return n, err
}
