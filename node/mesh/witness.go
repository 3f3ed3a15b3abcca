package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/peer"
)

// pathWitness is a C2SP tlog-witness: what goes over it is as specified there, and
// not as everything else between nodes.
const pathWitness = "/peer/v1/witness/add-checkpoint"

// typeSize is the media type of a witness's 409.
const typeSize = "text/x.tlog.size"

// Witness cosigns the heads of other nodes' evidence logs.
type Witness interface {
	// Cosign returns the signature line, an *audit.Conflict, or a *bus.Error.
	Cosign(ctx context.Context, from bus.NodeID, s audit.Submission) (line string, err error)
}

func cosign(n Node, logger *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, ok := peer.FromContext(r.Context())
		if !ok { // never: the listener hands out peer connections only
			http.Error(w, "not a peer connection", http.StatusForbidden)
			return
		}
		line, err := func() (string, error) {
			if err := n.Known(from); err != nil {
				return "", err
			}
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, audit.MaxSubmission))
			if err != nil {
				return "", bus.E(bus.CodeInvalid).Because(err)
			}
			s, err := audit.ParseSubmission(body)
			if err != nil {
				return "", err
			}
			return n.Cosign(r.Context(), from, s)
		}()
		if conflict, ok := errors.AsType[*audit.Conflict](err); ok {
			w.Header().Set("Content-Type", typeSize)
			w.WriteHeader(http.StatusConflict)
			fmt.Fprintf(w, "%d\n", conflict.Size)
			return
		}
		if err != nil {
			status := witnessStatus(bus.CodeOf(err))
			if status == http.StatusInternalServerError {
				logger.Error("cosign", "from", from, "error", err)
			}
			http.Error(w, string(bus.CodeOf(err)), status)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, line) // a peer that went away asks again
	}
}

// witnessStatus gives the status that C2SP tlog-witness has for a refusal.
func witnessStatus(code bus.Code) int {
	switch {
	case code == bus.CodeEvidence:
		return http.StatusUnprocessableEntity
	case code == bus.CodeStorageFull:
		return http.StatusInsufficientStorage
	}
	switch code.Kind() {
	case bus.KindInvalid:
		return http.StatusBadRequest
	case bus.KindForbidden:
		return http.StatusForbidden
	case bus.KindNotFound:
		return http.StatusNotFound
	case bus.KindUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Cosign asks a node to cosign a head of this node's log. It returns the signature
// lines; an *audit.Conflict where the witness cosigned another size last;
// bus.CodeEvidence where it does not take the proof; bus.CodeForbidden where it
// does not know the key.
func (c *Client) Cosign(ctx context.Context, witness bus.NodeID, s audit.Submission) (lines string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+string(witness)+pathWitness, bytes.NewReader(s.Encode()))
	if err != nil {
		return "", err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return "", unreachable(witness, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, audit.MaxSubmission))
	if err != nil {
		return "", unreachable(witness, err)
	}
	switch response.StatusCode {
	case http.StatusOK:
		return string(body), nil
	case http.StatusConflict:
		size, err := strconv.ParseInt(strings.TrimSuffix(string(body), "\n"), 10, 64)
		if err != nil || size < 0 || response.Header.Get("Content-Type") != typeSize {
			return "", unreachable(witness, fmt.Errorf("a conflict of %.40q leaves", body))
		}
		return "", &audit.Conflict{Size: size}
	case http.StatusUnprocessableEntity:
		return "", bus.E(bus.CodeEvidence)
	case http.StatusForbidden, http.StatusNotFound:
		return "", bus.E(bus.CodeForbidden)
	}
	return "", unreachable(witness, fmt.Errorf("it answered %s", response.Status))
}

func unreachable(node bus.NodeID, cause error) error {
	return bus.E(bus.CodePeerUnreachable, bus.Defect{
		Field: "node", Problem: bus.Text{ZH: "无法连接节点 " + string(node), EN: "node " + string(node) + " cannot be reached"},
	}).Because(cause)
}
