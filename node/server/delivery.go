package server

import (
	"context"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// delivered writes when data was first exchanged under a grant whose provider is
// served here. The first such entry counts.
func (s *Server) delivered(ctx context.Context, grant bus.GrantID, at time.Time) error {
	entry, err := command.New(command.GrantDelivered, bus.Principal{Node: s.self.Node}, "", 0, command.Delivered{Grant: grant, At: at})
	if err != nil {
		return err
	}
	_, err = s.directory.Write(ctx, entry)
	return err
}
