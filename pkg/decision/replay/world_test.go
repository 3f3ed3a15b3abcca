package replay_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/decision"
	"github.com/gxbus/gxbus/pkg/decision/replay"
	"github.com/gxbus/gxbus/pkg/policy"
)

const (
	origin   = "gxbus/sample/guangzhou"
	city     = bus.LayerID("division/440100")
	province = bus.LayerID("division/440000")
)

var start = time.Date(2026, 3, 4, 1, 0, 0, 0, time.UTC)

// world is an engine and the evidence file that its decisions go into.
type world struct {
	t      testing.TB
	db     *bbolt.DB
	log    *audit.Log
	key    string
	engine *policy.Engine
}

func newWorld(t testing.TB, layers ...bus.Layer) *world {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "exchange.db"), 0o600, nil)
	check(t, err)
	t.Cleanup(func() { db.Close() })
	w := &world{t: t, db: db}
	secret, _, err := audit.GenerateKey(origin)
	check(t, err)
	_, w.key, err = audit.OpenKey(secret)
	check(t, err)
	check(t, db.Update(func(tx *bbolt.Tx) error {
		w.log, err = audit.Open(tx, origin)
		return err
	}))
	w.engine, err = policy.New(policy.Options{Deadline: time.Minute, CompileLimit: time.Minute})
	check(t, err)
	w.engine.Load(layers)
	return w
}

// decide decides on inputs and records each.
func (w *world) decide(inputs ...policy.Input) []bus.Decision {
	w.t.Helper()
	decisions := make([]bus.Decision, len(inputs))
	records := make([]audit.Record, len(inputs))
	for i, in := range inputs {
		decisions[i] = w.engine.Decide(w.t.Context(), in)
		records[i] = audit.Record{
			Kind: audit.KindDecision, At: in.Time.Time, Resource: in.Resource.ID, Provider: in.Resource.Provider,
			Consumer: in.Consumer.Department, Purpose: in.Purpose, Decision: &decisions[i], DecisionID: decisions[i].ID,
		}
	}
	w.record(records...)
	return decisions
}

func (w *world) record(records ...audit.Record) {
	w.t.Helper()
	check(w.t, w.db.Update(func(tx *bbolt.Tx) error {
		_, err := w.log.Append(tx, records...)
		return err
	}))
}

func (w *world) candidate(l bus.Layer) *policy.Candidate {
	w.t.Helper()
	c, problems := w.engine.Candidate(w.t.Context(), l)
	if len(problems) > 0 {
		w.t.Fatalf("draft: %v", problems)
	}
	return c
}

// replay replays the evidence file.
func (w *world) replay(r *replay.Replayer) (p decision.Replayed) {
	w.t.Helper()
	check(w.t, w.db.View(func(tx *bbolt.Tx) error {
		reader, err := w.log.Reader(tx)
		if err != nil {
			return err
		}
		size, err := reader.Size()
		for n := int64(0); n < size && err == nil; n++ {
			leaf, ok, e := reader.DecisionAt(n)
			if err = e; ok && err == nil {
				err = r.Add(w.t.Context(), &p, leaf, reader)
			}
		}
		return err
	}))
	return p
}

func (w *world) export() []byte {
	w.t.Helper()
	var file bytes.Buffer
	check(w.t, w.db.View(func(tx *bbolt.Tx) error { return w.log.Export(&file, tx, w.key) }))
	return file.Bytes()
}

// replayExport replays an export.
func replayExport(t testing.TB, file []byte, r *replay.Replayer) (p decision.Replayed) {
	t.Helper()
	reader, err := audit.OpenExport(bytes.NewReader(file))
	check(t, err)
	for {
		leaf, err := reader.Next()
		if err == io.EOF {
			return p
		}
		check(t, err)
		check(t, r.Add(t.Context(), &p, leaf, reader))
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// layer makes a layer of rules.
func layer(id bus.LayerID, revision bus.Revision, rules string) bus.Layer {
	pkg, _ := policy.LayerPackage(id)
	return bus.Layer{ID: id, Revision: revision, Modules: map[string]string{"rules.rego": "package " + pkg + "\n\n" + rules}}
}

func deny(code, body string) string {
	return `deny contains {"code": "` + code + `", "zh": "测试", "en": "test"} if { ` + body + " }\n"
}

var (
	provider  = policy.Party{Department: "114400000069401674", Division: "440300", Divisions: []bus.DivisionCode{"440300", "440000"}}
	consumers = []policy.Party{
		{Department: "11440000006939561H", Division: "440106", Divisions: []bus.DivisionCode{"440106", "440100", "440000"}, System: "services"},
		{Department: "11441400007208381Y", Division: "440100", Divisions: []bus.DivisionCode{"440100", "440000"}, System: "health"},
		{Department: "11441300007188069T", Division: "441300", Divisions: []bus.DivisionCode{"441300", "440000"}, System: "tax"},
	}
	purposes = []bus.Purpose{bus.PurposeAdministrativeBasis, bus.PurposeReference, bus.PurposeVerification, bus.PurposeCollaboration}
)

// call is the nth of a run of calls that differ in all that policies look at.
func call(n int, dice *rand.Rand) policy.Input {
	consumer := consumers[dice.IntN(len(consumers))]
	sharing := []bus.SharingType{bus.Conditional, bus.Conditional, bus.Unconditional, bus.NotShared}[dice.IntN(4)]
	in := policy.Input{
		Version: policy.InputVersion, Action: policy.ActionForward, Stage: policy.StageProvider,
		Time: policy.Instant{Time: start.Add(time.Duration(n) * time.Second)}, Provider: provider, Consumer: consumer,
		Purpose: purposes[dice.IntN(len(purposes))], Matter: fmt.Sprintf("44010000%d", dice.IntN(3)),
		Directory: policy.DirectoryState{Index: bus.Revision(100 + n/50), AgeSeconds: dice.IntN(310)},
		Resource: policy.Resource{
			ID: bus.ResourceID(fmt.Sprintf("resource-%d", dice.IntN(5))), Provider: provider.Department, Name: "样例", Revision: 7,
			Sharing: policy.Sharing{Type: sharing, Range: "全省", Purposes: purposes[:1+dice.IntN(4)]},
			Items: []policy.Item{
				{ID: "name", Type: "C", Grade: 1, Semantic: bus.SemanticName}, {ID: "id_number", Type: "C", Grade: 3, Semantic: bus.SemanticIDNumber},
				{ID: "address", Type: "C", Grade: 2, Semantic: bus.SemanticAddress}, {ID: "note", Type: "C", Grade: 1 + dice.IntN(4)},
			},
		},
	}
	switch dice.IntN(5) {
	case 4:
		in.Action, in.Stage = policy.ActionQuery, []policy.Stage{policy.StageConsumer, policy.StageProvider}[dice.IntN(2)]
		in.Case = fmt.Sprintf("440106-2026-%06d", dice.IntN(1000))
	case 0:
		in.Action, in.Stage = policy.ActionDeliver, policy.StageConsumer
	case 1:
		in.Items = []bus.ItemID{"name", "address"}
	case 2:
		in.Case = fmt.Sprintf("440106-2026-%06d", dice.IntN(1000))
	}
	if dice.IntN(5) > 0 {
		in.Grant = &policy.Grant{
			ID: "grant-1", Resource: in.Resource.ID, Consumer: consumer.Department, Purposes: purposes, Items: []bus.ItemID{"name", "id_number", "address"},
			NotBefore: policy.Instant{Time: start.AddDate(0, -1, 0)}, NotAfter: policy.Instant{Time: start.Add(2 * time.Hour)}, Revoked: dice.IntN(9) == 0,
		}
	}
	return in
}

func calls(n int) []policy.Input {
	dice := rand.New(rand.NewPCG(3, 4))
	all := make([]policy.Input, n)
	for i := range all {
		all[i] = call(i, dice)
	}
	return all
}
