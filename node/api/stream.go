package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
)

const (
	streamsAtMost = 8                // of one principal at once, long polls included
	keepAlive     = 15 * time.Second // longest silence of a stream
	frameTimeout  = 10 * time.Second // for a reader to take what was written
)

// streams counts the answers that go on, and ends them when the node stops.
type streams struct {
	running context.Context
	end     context.CancelFunc

	mu   sync.Mutex
	open map[bus.Principal]int
}

func newStreams() *streams {
	s := &streams{open: map[bus.Principal]int{}}
	s.running, s.end = context.WithCancel(context.Background())
	return s
}

// begin counts an answer in, until release. Its context ends with ctx, and when
// the node stops.
func (s *streams) begin(ctx context.Context, p bus.Principal) (running context.Context, release func(), err error) {
	if s.running.Err() != nil {
		return nil, nil, bus.E(bus.CodeUnavailable)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[p] >= streamsAtMost {
		return nil, nil, bus.E(bus.CodeRateLimited, bus.Defect{
			Problem: bus.Text{ZH: "同一主体打开的变更流过多", EN: "too many open streams of one principal"}, Allowed: strconv.Itoa(streamsAtMost),
		})
	}
	s.open[p]++
	running, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.running, cancel)
	return running, func() {
		stop()
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[p]--; s.open[p] == 0 {
			delete(s.open, p)
		}
	}, nil
}

// stream answers the changes as server-sent events until ctx ends, the reader
// goes or is told why it may not go on.
//
// A message's id is the index to go on from. Of a log entry that changed several
// things only the last message has one: who reconnects in between gets them all.
func (f *following) stream(ctx context.Context, w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", sseType)
	h.Set("X-Accel-Buffering", "no") // a proxy must pass each message on at once
	control := http.NewResponseController(w)
	// The server's deadlines are for answers that end.
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		f.api.Logger.Error("stream without deadlines", "error", err)
		return
	}
	send := func(frame []byte) error {
		if err := control.SetWriteDeadline(time.Now().Add(frameTimeout)); err != nil {
			return err
		}
		_, err := w.Write(frame)
		return errors.Join(err, control.Flush())
	}
	told, last := f.from, time.Now()
	if send(idFrame(told)) != nil {
		return
	}
	for {
		changes, err := f.next(ctx)
		var frame []byte
		if err == nil {
			frame, err = framesOf(changes)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			_ = send(f.farewell(err)) // it is the end in any case
			return
		case len(frame) > 0:
			told = changes[len(changes)-1].index
		case time.Since(last) < keepAlive:
			continue
		case f.from != told:
			frame, told = idFrame(f.from), f.from
		default:
			frame = []byte(":\n\n")
		}
		if send(frame) != nil {
			return
		}
		if f.most > 0 {
			if f.most -= len(changes); f.most == 0 {
				return
			}
		}
		last = time.Now()
	}
}

// idFrame moves the reader's place without telling it anything.
func idFrame(at bus.Revision) []byte {
	return append(strconv.AppendUint([]byte("id: "), uint64(at), 10), "\n\n"...)
}

func framesOf(changes []told) ([]byte, error) {
	var frames bytes.Buffer
	for i, c := range changes {
		data, err := event.Marshal(c.event)
		if err != nil {
			return nil, err
		}
		if i == len(changes)-1 || changes[i+1].index != c.index {
			frames.WriteString("id: " + strconv.FormatUint(uint64(c.index), 10) + "\n")
		}
		frames.WriteString("data: ")
		frames.Write(data) // canonical JSON: one line
		frames.WriteString("\n\n")
	}
	return frames.Bytes(), nil
}

// farewell is the message that says why a stream ends.
func (f *following) farewell(err error) []byte {
	frame := bytes.NewBufferString("event: problem\ndata: ")
	_ = encodeJSON(frame, f.api.refusal(f.asked.Context(), err).Problem) // into memory
	frame.WriteString("\n")
	return frame.Bytes()
}
