package evaluation_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// export makes a real log of a node and gives its export, its key and its head.
func export(t *testing.T, node bus.NodeID, records ...audit.Record) (data []byte, secret string, verifier string) {
	t.Helper()
	origin := audit.Origin("gd", node)
	secret, verifier, err := audit.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "evidence.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	var out bytes.Buffer
	err = db.Update(func(tx *bbolt.Tx) error {
		log, err := audit.Open(tx, origin)
		if err != nil {
			return err
		}
		if _, err := log.Append(tx, records...); err != nil {
			return err
		}
		return log.Export(&out, tx, verifier)
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), secret, verifier
}

// folder is a report and the folder of evidence that a third party has it verified
// against.
func signedReport(t *testing.T) (report evaluation.Report, folder fstest.MapFS, key string) {
	t.Helper()
	gz, secret, gzKey := export(t, "gz", slices.Concat(call(evaluation.ProviderSide, "q1", "2026-03-02 09:00", nil), call(evaluation.ProviderSide, "q2", "2026-03-02 09:01", nil))...)
	th, _, thKey := export(t, "th", slices.Concat(call(evaluation.ConsumerSide, "q1", "2026-03-02 09:00", nil), call(evaluation.ConsumerSide, "q2", "2026-03-02 09:01", nil))...)
	m := provincial()
	m.Directory.Nodes[0].EvidenceKey, m.Directory.Nodes[1].EvidenceKey = gzKey, thKey
	m.Directory.Applications = application(func(a *bus.Application) { a.Complete = complete("2026-02-11 10:00") }) // due 2026-03-03 24:00: not in the day
	material, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	folder = fstest.MapFS{"directory.json": {Data: material}, "gz.jsonl": {Data: gz}, "th.jsonl": {Data: th}}
	for _, data := range [][]byte{gz, th} {
		reader, err := audit.OpenExport(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		rollups, err := evaluation.Derive(reader.Node(), func(yield func(audit.Leaf, error) bool) {
			for leaf, err := reader.NextLeaf(); err == nil && yield(leaf, nil); leaf, err = reader.NextLeaf() {
			}
		}, []calendar.Date{calendar.DateOf(oneDay.From)})
		if err != nil {
			t.Fatal(err)
		}
		m.Rollups.Add(rollups...)
	}
	signer, _, err := audit.OpenKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	report, err = evaluate(t, m, oneDay).Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	return report, folder, secret
}

func TestAReportIsVerifiedFromTheEvidenceAlone(t *testing.T) {
	report, folder, secret := signedReport(t)
	verify := func(r evaluation.Report, folder fstest.MapFS) evaluation.Finding {
		t.Helper()
		f, err := evaluation.VerifyFolder(r, folder)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	says := func(f evaluation.Finding, text string) bool {
		return slices.ContainsFunc(f.Problems, func(p bus.Text) bool { return strings.Contains(p.EN, text) })
	}
	if f := verify(report, folder); !f.Verified || f.Rollups != 2 || f.Figures == 0 {
		t.Fatalf("%+v", f)
	}
	resign := func(r evaluation.Report) evaluation.Report { // by the node itself: it has the key
		signer, _, err := audit.OpenKey(secret)
		if err != nil {
			t.Fatal(err)
		}
		if r, err = r.Sign(signer); err != nil {
			t.Fatal(err)
		}
		return r
	}
	copied := func() evaluation.Report {
		data, err := report.Encode()
		if err != nil {
			t.Fatal(err)
		}
		r, err := evaluation.DecodeReport(data)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Run("one edited cell", func(t *testing.T) {
		r := copied()
		i := slices.IndexFunc(r.Departments, func(s evaluation.Standing) bool { return s.Department == market })
		r.Departments[i].Figures[8].Denominator = 3
		f := verify(r, folder)
		if !says(f, "signature") || f.First == nil || f.First.Department != market || f.First.What != "D1" || f.First.Reported != "2/3 counted" || f.First.Again != "2/2 counted" {
			t.Errorf("%+v", f)
		}
		if f := verify(resign(r), folder); f.Verified || says(f, "signature") || f.First.What != "D1" {
			t.Errorf("signed again by the node: %+v", f)
		}
	})
	t.Run("one altered rollup", func(t *testing.T) {
		r := copied()
		r.Inputs.Rollups[1].Digest = evaluation.Rollup{Node: "th", Day: "2026-03-02"}.Digest()
		if f := verify(resign(r), folder); !says(f, "rollup of node th of 2026-03-02") {
			t.Errorf("%+v", f)
		}
	})
	t.Run("one deleted leaf", func(t *testing.T) {
		lines := bytes.SplitAfter(folder["gz.jsonl"].Data, []byte("\n"))
		less := fstest.MapFS{"directory.json": folder["directory.json"], "th.jsonl": folder["th.jsonl"], "gz.jsonl": {Data: bytes.Join(slices.Delete(lines, 2, 3), nil)}}
		f := verify(report, less)
		if !says(f, "leaf 1 is missing") || !says(f, "rollup of node gz of 2026-03-02") {
			t.Errorf("%+v", f)
		}
	})
	t.Run("a report of an altered rollup", func(t *testing.T) { // the node hid that a call was made, and signed that
		m := provincial(rollup(t, "gz", "2026-03-02", call(evaluation.ProviderSide, "q1", "2026-03-02 09:00", nil)...),
			rollup(t, "th", "2026-03-02", slices.Concat(call(evaluation.ConsumerSide, "q1", "2026-03-02 09:00", nil), call(evaluation.ConsumerSide, "q2", "2026-03-02 09:01", nil))...))
		material, err := evaluation.DecodeMaterial(folder["directory.json"].Data)
		if err != nil {
			t.Fatal(err)
		}
		m.Directory = material.Directory
		r := resign(evaluate(t, m, oneDay))
		if d := r.Reconciliation.Differences; len(d) != 1 || d[0].ProviderCount != 1 || d[0].ConsumerCount != 2 {
			t.Fatalf("%+v", d)
		}
		f := verify(r, folder)
		if !says(f, "rollup of node gz of 2026-03-02") || !says(f, "reconciliation comes out otherwise") || says(f, "rollup of node th") {
			t.Errorf("%+v", f)
		}
	})
	t.Run("a call in the evidence of one side alone is named", func(t *testing.T) {
		gz, _, gzKey := export(t, "gz", slices.Concat(call(evaluation.ProviderSide, "q1", "2026-03-02 09:00", nil), call(evaluation.ProviderSide, "q9", "2026-03-02 09:09", nil))...)
		material := bytes.Replace(folder["directory.json"].Data, []byte(keyOf(t, folder, "gz")), []byte(gzKey), 1)
		f := verify(report, fstest.MapFS{"directory.json": {Data: material}, "gz.jsonl": {Data: gz}, "th.jsonl": folder["th.jsonl"]})
		if len(f.Differences) != 1 {
			t.Fatalf("%+v", f)
		}
		var named []string
		for _, x := range f.Differences[0].Exchanges {
			named = append(named, fmt.Sprintf("%s %s %d %s", x.Exchange, x.Has, x.Leaf, x.Lacks))
		}
		if want := []string{"request/q9 gz 3 th", "request/q2 th 3 gz"}; !slices.Equal(named, want) {
			t.Errorf("%v, want %v", named, want)
		}
	})
	t.Run("no evidence of a node", func(t *testing.T) {
		if f := verify(report, fstest.MapFS{"directory.json": folder["directory.json"], "gz.jsonl": folder["gz.jsonl"]}); !says(f, "no evidence of node th of 2026-03-02") {
			t.Errorf("%+v", f)
		}
	})
	t.Run("another directory", func(t *testing.T) {
		material := bytes.Replace(folder["directory.json"].Data, []byte("2026-02-11"), []byte("2026-02-10"), 1)
		if f := verify(report, fstest.MapFS{"directory.json": {Data: material}, "gz.jsonl": folder["gz.jsonl"], "th.jsonl": folder["th.jsonl"]}); !says(f, "directory is not the one") {
			t.Errorf("%+v", f)
		}
	})
}

// keyOf is the evidence key of a node as the material has it, in its JSON.
func keyOf(t *testing.T, folder fstest.MapFS, node bus.NodeID) string {
	t.Helper()
	m, err := evaluation.DecodeMaterial(folder["directory.json"].Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range m.Directory.Nodes {
		if n.ID == node {
			return n.EvidenceKey
		}
	}
	t.Fatalf("no node %s", node)
	return ""
}
