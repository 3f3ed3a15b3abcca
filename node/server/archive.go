package server

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/node/doctor"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

const (
	archiveDir      = "evidence" // in the data directory: sealed segments of the evidence log
	archiveInterval = time.Hour
	thinned         = 2048 // leaves deleted in one transaction, so that others do not wait long for theirs
)

func days[N int | float64](n N) time.Duration {
	return time.Duration(float64(n) * 24 * float64(time.Hour))
}

// keepArchive moves old evidence out of the live file, now and then.
func (s *Server) keepArchive(ctx context.Context) {
	timer := time.NewTicker(archiveInterval)
	defer timer.Stop()
	for {
		if err := s.ArchiveEvidence(ctx); err != nil && ctx.Err() == nil {
			s.logger.Error("archive evidence", "error", err)
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// ArchiveEvidence moves the evidence that is old enough into sealed segments. A segment
// is on the disk and verified before it is part of the log, and part of the log, under
// its name, before a leaf goes from the live file: who begins again goes on.
func (s *Server) ArchiveEvidence(ctx context.Context) error {
	s.archiving.Lock()
	defer s.archiving.Unlock()
	for {
		if err := s.thin(ctx); err != nil {
			return err
		}
		if err := s.room.check(); err != nil {
			return err
		}
		sealed, ok, err := s.sealNext()
		if err != nil || !ok {
			return err
		}
		err = s.store.Commit(ctx, func(tx *bbolt.Tx) error { return s.log.Archive(tx, sealed, s.now().UTC()) })
		if err != nil {
			return err
		}
		s.logger.Info("evidence archived", "segment", sealed.Name(), "bytes", sealed.Bytes)
	}
}

// thin settles the archive and takes out of the live file what is in it.
func (s *Server) thin(ctx context.Context) error {
	if err := s.store.View(s.log.Settle); err != nil {
		return err
	}
	for more := true; more; {
		err := s.store.Commit(ctx, func(tx *bbolt.Tx) (err error) {
			more, err = s.log.Thin(tx, thinned)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sealNext writes the next segment; ok is false where none is due.
func (s *Server) sealNext() (sealed audit.Segment, ok bool, err error) {
	err = s.store.View(func(tx *bbolt.Tx) error {
		first, end, err := s.log.Ripe(tx, s.now().Add(-days(s.config.ArchiveDays)))
		if err != nil || first == end {
			return err
		}
		ok = true
		sealed, err = s.log.Seal(tx, s.self.verifier, first, end)
		return err
	})
	return sealed, ok, err
}

// Segments lists the sealed segments of this node's evidence, and what is wrong with
// any.
func (s *Server) Segments() (all []client.Segment, err error) {
	var segments []audit.Segment
	err = s.store.View(func(tx *bbolt.Tx) (err error) {
		segments, err = s.log.Segments(tx)
		return err
	})
	for _, segment := range segments {
		shown := shownSegment(segment)
		if s.segments.Check(segment) != nil {
			shown.Problem = bus.CodeEvidence
		}
		all = append(all, shown)
	}
	return all, err
}

func shownSegment(s audit.Segment) client.Segment {
	return client.Segment{File: s.Name(), First: s.First, End: s.End, Digest: s.Digest, Bytes: s.Bytes, From: s.From, To: s.To}
}

// PruneEvidence deletes the sealed segments that were recorded before a time, in
// somebody's name and on record. None goes that is not past the retention.
func (s *Server) PruneEvidence(ctx context.Context, by bus.Principal, request string, before time.Time) (gone []client.Segment, err error) {
	if latest := s.now().Add(-days(s.config.EvidenceDays)); before.After(latest) {
		return nil, bus.Invalid([]bus.Defect{{
			Field:   "before",
			Problem: bus.Text{ZH: fmt.Sprintf("存证须保存 %d 天（条例第二十九条：不少于三年）", s.config.EvidenceDays), EN: fmt.Sprintf("evidence is kept for %d days (decree 809 art. 29: three years at least)", s.config.EvidenceDays)},
			Allowed: "no later than " + latest.UTC().Format(time.RFC3339),
		}})
	}
	s.archiving.Lock()
	defer s.archiving.Unlock()
	var segments []audit.Segment
	err = s.store.Commit(ctx, func(tx *bbolt.Tx) (err error) {
		segments, err = s.log.Prune(tx, by, request, before, s.now().UTC())
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, segment := range segments {
		gone = append(gone, shownSegment(segment))
	}
	return gone, s.store.View(s.log.Settle)
}

// attach gives a log in a data directory its archive.
func (d DataDir) attach(log *audit.Log) (*audit.Archive, error) {
	archive, err := audit.OpenArchive(d.path(archiveDir))
	if err == nil {
		log.Attach(archive)
	}
	return archive, err
}

// archived judges the sealed segments of a log.
func archived(tx *bbolt.Tx, log *audit.Log, archive *audit.Archive) client.Check {
	segments, err := log.Segments(tx)
	var bad []string
	for _, segment := range segments {
		if archive.Check(segment) != nil {
			bad = append(bad, segment.Name())
		}
	}
	return doctor.Archive(len(segments), bad, err)
}
