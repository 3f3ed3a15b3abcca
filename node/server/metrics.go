package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"github.com/gxbus/gxbus/node/metrics"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/storage"
)

// openMetrics counts what the node does, where that is to be shown.
func (s *Server) openMetrics(context.Context) (err error) {
	if s.config.MetricsListen == "" {
		return nil
	}
	if s.metrics, err = metrics.New(s.version, s.standing); err != nil {
		return err
	}
	s.log.Watch(s.metrics.Observe)
	return nil
}

// showMetrics serves the metrics, on a port of their own.
func (s *Server) showMetrics(context.Context) error {
	if s.metrics == nil {
		return nil
	}
	listener, err := net.Listen("tcp", s.config.MetricsListen)
	if err != nil {
		return portInUse("metrics_listen", s.config.MetricsListen, err)
	}
	s.metricsAt = listener.Addr().String()
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.Handler())
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: patience, ReadTimeout: patience, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 8 << 10,
		ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	s.serve(server, listener)
	s.onClose(server.Close)
	return nil
}

// MetricsAddress is where the metrics are served; empty where they are not.
func (s *Server) MetricsAddress() string { return s.metricsAt }

// standing is how the node stands.
func (s *Server) standing() (now metrics.Standing, err error) {
	leader := s.group.Leader()
	now.Leader, now.LeaderKnown, now.Term, now.Committed = leader == s.self.Node, leader != "", s.group.Term(), s.group.CommitIndex()
	now.Applied, _ = s.directory.Applied()
	if now.ReplicaAge, err = s.directory.Age(); err != nil {
		return now, err
	}
	err = s.state.View(func(tx *state.Tx) error {
		now.Layers = tx.Revision(state.Layers)
		return nil
	})
	if err != nil {
		return now, err
	}
	for _, l := range s.policy.Status() {
		if l.Error != "" {
			now.BrokenLayers++
		}
	}
	w, err := s.witnessed()
	if err != nil {
		return now, err
	}
	now.Leaves, now.Unwitnessed = w.Leaves, w.Leaves-w.Size
	if !w.Since.IsZero() {
		now.UnwitnessedFor = max(0, s.now().Sub(w.Since))
	}
	usage, err := s.store.Usage()
	if err != nil {
		return now, err
	}
	now.FileBytes, now.LiveBytes = usage.Size, usage.Live
	if now.DiskFree, _, err = storage.Free(string(s.dir)); err != nil {
		return now, err
	}
	inboxes, err := s.exchange.Inboxes()
	if err != nil {
		return now, err
	}
	now.InboxBytes, now.InboxesFull, now.InboxesWaiting = inboxes.Bytes, len(inboxes.Full), s.exchange.Stopped()
	now.Backlog, err = s.exchange.Backlog()
	return now, err
}
