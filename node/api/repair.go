package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/backup"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// Repair is what a node does for its own preservation.
type Repair interface {
	Backup(w io.Writer, key backup.PublicKey) error
	RecoveryKey() (key backup.PublicKey, ok bool) // the configured one
	BackupSize() int64
	Doctor(ctx context.Context, full bool) ([]client.Check, error)
}

// backupTimeout is how long a backup may take. It keeps the pages that it reads from
// being used again, as an export of evidence does.
const backupTimeout = 12 * time.Hour

// addRepair registers backup, examination, and the confirmation of grants after a
// restore.
func (a *API) addRepair(h huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1" + path, Summary: summary, Tags: []string{"repair"}}
	}
	take := op("backup", http.MethodPost, "/backup", "Back this node up")
	take.Responses = map[string]*huma.Response{"200": {Description: "the backup, sealed to the recovery key", Content: map[string]*huma.MediaType{"application/octet-stream": {}}}}
	handle(a, h, describes[client.BackupRequest](a, h, take), func(ctx context.Context, p bus.Principal, in *Sent[client.BackupRequest]) (*huma.StreamResponse, error) {
		if err := only(bus.RoleSystemAdministrator, p); err != nil {
			return nil, err
		}
		request, err := in.decode()
		if err != nil {
			return nil, err
		}
		return a.backup(ctx, p, request)
	})
	type asked struct {
		Full bool `query:"full" doc:"recompute the evidence leaf by leaf"`
	}
	examine := op("doctor", http.MethodGet, "/doctor", "Examine this node")
	examine.Middlewares = huma.Middlewares{a.patient}
	handle(a, h, examine, func(ctx context.Context, p bus.Principal, in *asked) (*answer[list[client.Check]], error) {
		if p.Role != bus.RoleSystemAdministrator && p.Role != bus.RoleAuditor {
			return nil, bus.E(bus.CodeForbidden)
		}
		checks, err := a.Cluster.Doctor(ctx, in.Full)
		return &answer[list[client.Check]]{Body: list[client.Check]{Items: checks}}, err
	})
	confirm := op("confirm-grants", http.MethodPost, "/grants/confirm", "Confirm suspended grants")
	confirm.Tags, confirm.DefaultStatus = []string{"grants"}, http.StatusNoContent
	confirm.Description = "After a restore every grant is suspended until a security administrator confirms it. All of those named stand again, or none."
	handle(a, h, describes[client.Confirmation](a, h, confirm), func(ctx context.Context, p bus.Principal, in *Sent[client.Confirmation]) (*struct{}, error) {
		which, err := in.decode()
		if err != nil {
			return nil, err
		}
		_, err = a.write(ctx, p, command.GrantConfirm, 0, command.Confirm{Grants: which.Grants}, fmt.Sprint(len(which.Grants), " ", which.Grants))
		return nil, err
	})
}

// sending tells whether an answer has begun.
type sending struct {
	w     io.Writer
	begun bool
}

func (s *sending) Write(p []byte) (int, error) {
	s.begun = true
	return s.w.Write(p)
}

// patient gives an answer that takes long the time that it takes.
func (a *API) patient(hc huma.Context, next func(huma.Context)) {
	_, w := humago.Unwrap(hc)
	if err := http.NewResponseController(w).SetWriteDeadline(a.Now().Add(backupTimeout)); err != nil {
		a.Logger.Debug("extend a deadline", "error", err)
	}
	next(hc)
}

// backup streams one. That it was taken, and for which key, is on record before.
func (a *API) backup(ctx context.Context, p bus.Principal, in client.BackupRequest) (*huma.StreamResponse, error) {
	key, ok := a.Cluster.RecoveryKey()
	if in.RecoveryKey != "" {
		var err error
		if key, err = backup.ParsePublic(in.RecoveryKey); err != nil {
			return nil, err
		}
	} else if !ok {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "recovery_key", Problem: bus.Text{ZH: "未指定恢复公钥，节点也未配置", EN: "none was named and none is configured"}, Allowed: "the public part that gxbus recovery-key create printed",
		})
	}
	if err := a.record(ctx, p, audit.KindAdministered, "", "backup sealed to recovery key "+key.Fingerprint()); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/octet-stream")
		hc.SetHeader(client.HeaderSize, strconv.FormatInt(a.Cluster.BackupSize(), 10))
		r, w := humago.Unwrap(hc)
		sent := &sending{w: hc.BodyWriter()}
		err := http.NewResponseController(w).SetWriteDeadline(a.Now().Add(backupTimeout))
		if err == nil {
			err = a.Cluster.Backup(sent, key)
		}
		if err != nil && !sent.begun {
			w.Header().Del(client.HeaderSize)
			a.writeProblem(w, r, err)
			return
		}
		if err != nil {
			a.Logger.Warn("backup cut short", "request", requestOf(ctx), "error", err)
			panic(http.ErrAbortHandler) // as in the export of evidence
		}
	}}, nil
}
