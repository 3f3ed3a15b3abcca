package client

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Now stands, as an index to watch from, for where the node is when the watch
// begins.
const Now = bus.Revision(math.MaxUint64)

const (
	streamMedia = "text/event-stream"
	maxMessage  = 16 << 20         // bytes of one message of a stream
	maxSilence  = 45 * time.Second // of a stream; the node says something every 15
	maxBackoff  = 10 * time.Second // between two connections
)

// Change is a directory entry that was put or deleted.
type Change struct {
	Index   bus.Revision // of the log entry that did it
	Kind    string       // what it is, such as "resource"
	Key     string       // its id
	Deleted bool
	Event   event.Event // as the node told it; its data is the entry, as it is now
}

// Entry decodes the entry that was put.
func (c Change) Entry(value any) error { return json.Unmarshal(c.Event.Data(), value) }

// Watch yields the changes of the directory after the index from, in their order,
// of the kinds named or of all, as far as the caller may see them. It connects
// again whenever the connection breaks, and goes on where it was; the changes of
// one log entry may come twice then. The last pair is an error: ctx's, a refusal,
// or CodeResync where from is so old that the node no longer knows what changed:
// list the entries anew and watch from the index of that answer.
func (c *Client) Watch(ctx context.Context, from bus.Revision, kinds ...string) iter.Seq2[Change, error] {
	query := url.Values{}
	if len(kinds) > 0 {
		query.Set("kind", strings.Join(kinds, ","))
	}
	return watch(ctx, c, call{path: []string{"changes"}, query: query}, from, changeOf)
}

// watch yields what a stream tells, however often it has to connect for that.
func watch[T any](ctx context.Context, c *Client, stream call, from bus.Revision, read func(message) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		at, wait := from, c.cfg.Backoff
		for {
			before := at
			err := c.follow(ctx, &at, stream, func(m message) error {
				value, err := read(m)
				if err == nil && !yield(value, nil) {
					return errStopped
				}
				return err
			})
			switch {
			case err == errStopped:
				return
			case ctx.Err() != nil:
				yield(none, ctx.Err())
				return
			case !resumable(err):
				yield(none, err)
				return
			case at != before:
				wait = c.cfg.Backoff
			}
			if !pause(ctx, jitter(wait)) {
				yield(none, cmp.Or(ctx.Err(), context.DeadlineExceeded)) // also one that is too near
				return
			}
			wait = min(2*wait, maxBackoff)
		}
	}
}

var (
	errStopped = errors.New("the one who watches has seen enough")
	errSilent  = errors.New("the node has gone silent")
)

// resumable reports whether a watch that broke off with err can go on.
func resumable(err error) bool {
	if _, ours := errors.AsType[*bus.Error](err); ours {
		return false // what the node says is not understood, and would not be the next time
	}
	again, _ := repeatable(err, false)
	return again
}

// follow reads one connection's messages, and moves at with them.
func (c *Client) follow(ctx context.Context, at *bus.Revision, stream call, read func(message) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(maxSilence, func() { cancel(errSilent) })
	defer silent.Stop()
	stream.method, stream.stream = http.MethodGet, true
	stream.header = http.Header{"Accept": {streamMedia}}
	stream.query = maps.Clone(stream.query)
	switch {
	case *at == Now:
	case stream.events:
		stream.header.Set("Last-Event-ID", strconv.FormatUint(uint64(*at), 10))
	default:
		stream.query.Set("from", strconv.FormatUint(uint64(*at), 10))
	}
	resp, err := c.send(ctx, stream)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	messages := messageReader{lines: bufio.NewReader(resp.Body), heard: func() { silent.Reset(maxSilence) }}
	for {
		m, err := messages.next()
		if context.Cause(ctx) == errSilent {
			return errSilent
		}
		if err != nil {
			return err // also io.EOF: the node has ended the stream, and will take another
		}
		if m.name == "problem" {
			return problemIn(m.data)
		}
		if len(m.data) > 0 {
			if err := read(m); err != nil {
				return err
			}
		}
		if m.id != nil {
			*at = *m.id
		}
	}
}

// changeOf reads the event of a change.
func changeOf(m message) (Change, error) {
	var e event.Event
	if err := json.Unmarshal(m.data, &e); err != nil {
		return Change{}, notUnderstood(err)
	}
	what, ours := strings.CutPrefix(e.Type(), ChangeType)
	kind, deleted := strings.CutSuffix(what, ".deleted")
	put := strings.TrimSuffix(kind, ".put")
	text, _ := e.Extensions()[ExtensionIndex].(string)
	index, err := strconv.ParseUint(text, 10, 64)
	if err != nil || !ours || !deleted && put == kind || put == "" || e.Subject() == "" {
		return Change{}, notUnderstood(err)
	}
	return Change{Index: bus.Revision(index), Kind: put, Key: e.Subject(), Deleted: deleted, Event: e}, nil
}

// notUnderstood is the end of a watch: to connect again would bring the same.
func notUnderstood(err error) error {
	return bus.E(bus.CodeMalformedEvent, bus.Defect{
		Field: "changes", Problem: bus.Text{ZH: "无法识别节点的变更消息", EN: "the node's message is not a change that this release knows"},
	}).Because(err)
}

func problemIn(data []byte) error {
	var p Problem
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("the node ended the stream: %w", err)
	}
	return &answer{problem: &p, retryAfter: -1}
}

// message is one server-sent event (WHATWG HTML §9.2).
type message struct {
	id   *bus.Revision // where to go on from, once it is dealt with; nil: no news
	name string
	data []byte
}

// messageReader cuts a stream into messages.
type messageReader struct {
	lines *bufio.Reader
	heard func() // is called for each line
}

// next returns the next message that says something. A stream that ends within a
// message loses it, as the standard wants.
func (r *messageReader) next() (m message, err error) {
	size := 0
	for {
		line, err := r.line(maxMessage - size)
		if err != nil {
			return message{}, err
		}
		size += len(line)
		if len(line) == 0 {
			if m.id != nil || m.name != "" || m.data != nil {
				return m, nil
			}
			size = 0
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			m.name = string(value)
		case "data":
			if m.data != nil {
				m.data = append(m.data, '\n')
			}
			m.data = append(m.data, value...)
		case "id":
			if index, err := strconv.ParseUint(string(value), 10, 64); err == nil {
				m.id = new(bus.Revision(index))
			}
		}
	}
}

// line returns the next line without its end.
func (r *messageReader) line(atMost int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.lines.ReadSlice('\n')
		line = append(line, part...)
		r.heard()
		switch {
		case len(line) > atMost:
			return nil, bus.E(bus.CodeTooLarge, bus.Defect{Field: "changes", Problem: bus.Text{ZH: "消息过大", EN: "a message is too large"}})
		case err == nil:
			return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
