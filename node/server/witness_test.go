package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/identity"
)

// A city's evidence is cosigned by the province, and the directory holds what both
// signed; the province, which has none above it, is cosigned by a city.
// S53: the head of yesterday is refused, is on record, and the alarm stays until the
// log goes on.
func TestS53_ParentsCosignAndRefuseAnOldHead(t *testing.T) {
	province, city := fleet.Province()[0], fleet.Province()[1]
	city.Voter = false
	c := nodetest.Start(t, province, city)
	ctx := context.Background()
	sysadmin := c.Client("sysadmin")
	keys := map[bus.NodeID]string{}
	nodes, err := sysadmin.Nodes(ctx)
	check(t, err)
	for _, n := range nodes {
		keys[n.ID] = n.EvidenceKey
	}
	cosigned := func(node, witness bus.NodeID, above int64) (found bus.Checkpoint) {
		nodetest.Eventually(t, "the evidence of "+string(node)+" is cosigned", func() error {
			checkpoints, err := sysadmin.Checkpoints(ctx)
			check(t, err)
			for _, found = range checkpoints {
				who, err := audit.Cosignatures(found.Note, keys[witness])
				check(t, err)
				if found.Node == node && found.Size > above && len(who) == 1 && who[0].Witness == witness {
					return nil
				}
			}
			return fmt.Errorf("checkpoints %+v", checkpoints)
		})
		return found
	}
	cosigned(province.ID, city.ID, 0)
	c.ClientAt(c.Nodes[city.ID], "auditor") // the first leaf of its log: a sign-in is on record
	yesterday := cosigned(city.ID, province.ID, -1)
	c.ClientAt(c.Nodes[city.ID], "auditor")
	cosigned(city.ID, province.ID, yesterday.Size)

	_, err = c.First.Server.Cosign(ctx, city.ID, audit.Submission{Note: yesterday.Note})
	if conflict, ok := errors.AsType[*audit.Conflict](err); !ok || conflict.Size <= yesterday.Size {
		t.Errorf("the old head: %v", err)
	}
	if found := checkOf(t, c.First, "witnessed logs"); found.State != client.CheckFail || !strings.Contains(found.Detail.EN, string(city.ID)) {
		t.Errorf("no alarm: %+v", found)
	}
	if _, err = c.First.Server.Cosign(ctx, province.ID, audit.Submission{Note: yesterday.Note}); bus.CodeOf(err) != bus.CodeForbidden && bus.CodeOf(err) != bus.CodeInvalid {
		t.Errorf("a node asks for another's log: %v", err)
	}
	c.ClientAt(c.Nodes[city.ID], "auditor")
	nodetest.Eventually(t, "the log that goes on settles it", func() error {
		if found := checkOf(t, c.First, "witnessed logs"); found.State != client.CheckOK {
			return errors.New(found.Detail.EN)
		}
		return nil
	})
	if found := checkOf(t, c.Nodes[city.ID], "witness"); found.State != client.CheckOK || !strings.Contains(found.Detail.EN, "cosigned by "+string(province.ID)) {
		t.Errorf("%+v", found)
	}
	status, err := sysadmin.Status(ctx, false)
	check(t, err)
	for _, m := range status.Members {
		if m.Witness.Node == "" || m.Witness.Size == 0 || m.Witness.Late {
			t.Errorf("%s: %+v", m.ID, m.Witness)
		}
	}
}

func checkOf(t *testing.T, n *nodetest.Node, name string) client.Check {
	t.Helper()
	checks, err := n.Server.Doctor(context.Background(), false)
	check(t, err)
	for _, c := range checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check of %s", name)
	return client.Check{}
}

// What a witness answers is what C2SP tlog-witness has for it.
func TestS53AWitnessAnswersAddCheckpointAsSpecified(t *testing.T) {
	province, city := fleet.Province()[0], fleet.Province()[1]
	city.Voter = false
	c := nodetest.Start(t, province, city)
	ctx := context.Background()
	sysadmin := c.Client("sysadmin")
	c.ClientAt(c.Nodes[city.ID], "auditor") // the first leaf of its log: a sign-in is on record
	var last bus.Checkpoint
	nodetest.Eventually(t, "the evidence of the city is cosigned", func() error {
		checkpoints, err := sysadmin.Checkpoints(ctx)
		check(t, err)
		for _, found := range checkpoints {
			if found.Node == city.ID && found.Size > 0 && strings.Count(found.Note, "\n— ") == 2 {
				last = found
				return nil
			}
		}
		return fmt.Errorf("checkpoints %+v", checkpoints)
	})
	status, err := sysadmin.Status(ctx, false)
	check(t, err)
	c.Nodes[city.ID].Stop()
	plane := steal(t, c.Nodes[city.ID], c.First, status.Cluster)
	api := mesh.NewClient(plane.RoundTripper(), plane.Queries())
	_, err = api.Cosign(ctx, province.ID, audit.Submission{Note: last.Note})
	conflict, ok := errors.AsType[*audit.Conflict](err)
	if !ok || conflict.Size < last.Size {
		t.Fatalf("with the old size 0: %v", err)
	}

	secret, err := identity.ReadPrivate(filepath.Join(c.Nodes[city.ID].Config.DataDir, "evidence.key"))
	check(t, err)
	own, _, err := audit.OpenKey(string(secret))
	check(t, err)
	made, _, err := audit.GenerateKey(own.Name())
	check(t, err)
	another, _, err := audit.OpenKey(made)
	check(t, err)
	head := func(signer note.Signer) string { // of a log that goes on elsewhere
		lines := strings.SplitAfter(last.Note, "\n")
		lines[1] = fmt.Sprintln(conflict.Size + 100)
		text, _, _ := strings.Cut(strings.Join(lines, ""), "\n\n")
		signed, err := note.Sign(&note.Note{Text: text + "\n"}, signer)
		check(t, err)
		return string(signed)
	}
	web := &http.Client{Transport: plane.RoundTripper()}
	for name, c := range map[string]struct {
		body        []byte
		status      int
		media, want string
	}{
		"another size":          {audit.Submission{Note: last.Note}.Encode(), http.StatusConflict, "text/x.tlog.size", fmt.Sprintln(conflict.Size)},
		"a proof that is none":  {audit.Submission{Old: conflict.Size, Proof: make([]tlog.Hash, 1), Note: head(own)}.Encode(), http.StatusUnprocessableEntity, "", ""},
		"a key that is not its": {audit.Submission{Old: conflict.Size, Note: head(another)}.Encode(), http.StatusForbidden, "", ""},
		"an old size beyond it": {audit.Submission{Old: 1 << 40, Note: last.Note}.Encode(), http.StatusBadRequest, "", ""},
		"what is no submission": {[]byte("new 1\n"), http.StatusBadRequest, "", ""},
	} {
		response, err := web.Post("http://"+string(province.ID)+"/peer/v1/witness/add-checkpoint", "text/plain", bytes.NewReader(c.body))
		check(t, err)
		body, err := io.ReadAll(response.Body)
		check(t, errors.Join(err, response.Body.Close()))
		if response.StatusCode != c.status || c.media != "" && response.Header.Get("Content-Type") != c.media || c.want != "" && string(body) != c.want {
			t.Errorf("%s is answered %d %s %q", name, response.StatusCode, response.Header.Get("Content-Type"), body)
		}
	}
	if _, err := api.Cosign(ctx, province.ID, audit.Submission{Old: conflict.Size, Proof: make([]tlog.Hash, 1), Note: head(own)}); bus.CodeOf(err) != bus.CodeEvidence {
		t.Errorf("a proof that is none: %v", err)
	}
}

// A log that nobody cosigned for an hour is an alarm, until it is cosigned again.
func TestS53ALogThatIsNotCosignedForLongIsAnAlarm(t *testing.T) {
	now := &clock{at: time.Now()}
	province, city := fleet.Province()[0], fleet.Province()[1]
	city.Voter = false
	c := nodetest.StartWith(t, nodetest.Options{Now: now.Now}, province, city)
	witness := func(state client.CheckState, says string) {
		t.Helper()
		nodetest.Eventually(t, "of the witness it is told "+string(state), func() error {
			found := checkOf(t, c.First, "witness")
			if found.State != state || !strings.Contains(found.Detail.EN, says) {
				return fmt.Errorf("%+v", found)
			}
			return nil
		})
	}
	witness(client.CheckOK, "cosigned by "+string(city.ID))
	c.Nodes[city.ID].Stop()
	c.Client("auditor") // a leaf that is not cosigned
	now.advance(59 * time.Minute)
	witness(client.CheckOK, "cosigned by "+string(city.ID))
	now.advance(2 * time.Minute)
	witness(client.CheckWarn, "are not cosigned by "+string(city.ID))
	c.Nodes[city.ID].Start()
	witness(client.CheckOK, "cosigned by "+string(city.ID))
}
