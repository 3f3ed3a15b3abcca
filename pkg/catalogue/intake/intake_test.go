package intake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
	"github.com/gxbus/gxbus/pkg/catalogue/intake"
)

const provider = "11440300999900011J"

func line(n int, name string) string {
	return fmt.Sprintf(`{"resource":{"codes":["301001/%d"],"name":%q,"provider":%q}}`, n, name, provider)
}

// taking makes an intake of lines.
func taking(t *testing.T, c intake.Config, lines ...string) *intake.Intake {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := catalogue.Open(path, catalogue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	c.Source = source
	if c.Spool, err = os.CreateTemp(t.TempDir(), "spool"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Spool.Close() })
	in := intake.New(c)
	if _, err := in.Check(); err != nil {
		t.Fatal(err)
	}
	return in
}

func TestEveryEntryIsAccountedFor(t *testing.T) {
	node := &node{refuse: "节点拒绝", lack: "待补正"}
	in := taking(t, intake.Config{Chunk: 300}, line(1, "甲"), line(2, "节点拒绝"), line(1, "甲"), line(1, "另一个"), "{", line(3, "待补正"), line(4, "丁"))
	report, err := in.Send(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"1 taken created", "2 refused refused", "3 mended ", "4 refused ", "5 refused ", "6 taken created", "7 taken created"}
	for i, e := range report.Entries {
		if got := fmt.Sprintf("%d %s %s", e.Row, e.Verdict, e.Outcome); got != want[i] {
			t.Errorf("got %q, want %q: %+v", got, want[i], e.Notes)
		}
	}
	if report.Read != 7 || report.Taken != 3 || report.Mended != 1 || report.Refused != 3 || report.Merged != 1 || report.Created != 3 || report.Entries[2].Merged != 1 {
		t.Errorf("totals %+v", report.Totals())
	}
	if len(node.requests) < 2 {
		t.Errorf("%d requests", len(node.requests))
	}
	var csv bytes.Buffer
	if err := report.WriteCSV(&csv, bus.Chinese); err != nil || !strings.Contains(csv.String(), "第 1 行已有此代码或标识") {
		t.Errorf("%v: %s", err, csv.String())
	}
}

func TestADryRunWritesNothing(t *testing.T) {
	node := &node{}
	in := taking(t, intake.Config{DryRun: true}, line(1, "甲"))
	report, err := in.Send(t.Context(), node)
	if err != nil || report.Created != 1 || !report.DryRun || len(node.taken) != 0 {
		t.Errorf("%+v, %v; the node took %v", report, err, node.taken)
	}
}

func TestAnInterruptedIntakeGoesOn(t *testing.T) {
	var lines []string
	for i := range 40 {
		lines = append(lines, line(i+1, "名"))
	}
	journal := filepath.Join(t.TempDir(), "journal")
	purpose := intake.Purpose{File: "abc", Server: "node"}
	node := &node{fail: 4}
	send := func(resume bool, chop int64) (*intake.Report, *intake.Journal, error) {
		if info, err := os.Stat(journal); err == nil && chop > 0 {
			if err := os.Truncate(journal, info.Size()-chop); err != nil {
				t.Fatal(err)
			}
		}
		j, err := intake.OpenJournal(journal, purpose, resume)
		if err != nil {
			t.Fatal(err)
		}
		report, err := taking(t, intake.Config{Journal: j, Chunk: 500, Flights: 2}, lines...).Send(t.Context(), node)
		return report, j, err
	}
	if _, j, err := send(true, 0); err == nil {
		t.Fatal("the node's failure was not told")
	} else if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	before := len(node.requests)
	node.fail = 0
	report, j, err := send(true, 7) // the last line is torn: its chunk is sent again, under the same request id
	if err != nil {
		t.Fatal(err)
	}
	if report.Created != 40 || len(node.taken) != 40 {
		t.Errorf("%+v; the node has %d", report.Totals(), len(node.taken))
	}
	const chunks = 20
	if again := len(node.requests) - before; again >= chunks || len(node.answers) != chunks {
		t.Errorf("%d requests, then %d, of %d chunks under %d ids", before, again, chunks, len(node.answers))
	}
	if err := j.Done(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(journal); err == nil {
		t.Error("the journal is still there")
	}

	// Another run is not answered as the first was: the directory may have moved on.
	if report, j, err = send(false, 0); err != nil || report.Unchanged != 40 || len(node.answers) != 2*chunks {
		t.Fatalf("another run: %+v, %v, %d ids", report, err, len(node.answers))
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func TestAJournalIsOfOneImportOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := intake.OpenJournal(path, intake.Purpose{File: "a"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := intake.OpenJournal(path, intake.Purpose{File: "b"}, true); bus.CodeOf(err) != bus.CodeInvalid {
		t.Errorf("resumed with another file: %v", err)
	}
	if err := os.WriteFile(path, []byte("{}\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := intake.OpenJournal(path, intake.Purpose{File: "a"}, true); bus.CodeOf(err) != bus.CodeInvalid {
		t.Errorf("a damaged journal: %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"file":"a"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if j, err = intake.OpenJournal(path, intake.Purpose{File: "a"}, true); err != nil {
		t.Errorf("a torn first line is no journal: %v", err)
	} else if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// node takes drafts in as a real one answers: by code, a repeated request as the
// first time.
type node struct {
	refuse, lack string // names of entries
	fail         int    // the request that fails, after it was carried out

	mu       sync.Mutex
	taken    map[bus.ResourceCode]string
	answers  map[string][]bus.ImportRow
	requests []string
}

func (n *node) Import(_ context.Context, request string, drafts []json.RawMessage, _, dry bool) ([]bus.ImportRow, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.answers == nil {
		n.taken, n.answers = map[bus.ResourceCode]string{}, map[string][]bus.ImportRow{}
	}
	n.requests = append(n.requests, request)
	if rows, ok := n.answers[request]; ok {
		return rows, nil
	}
	var rows []bus.ImportRow
	for _, text := range drafts {
		var d bus.DraftContent
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, err
		}
		code := d.Resource.Codes[0]
		row := bus.ImportRow{ID: bus.ResourceIDOf(code), Outcome: bus.OutcomeCreated, State: bus.StateDraft}
		switch was, there := n.taken[code]; {
		case n.refuse != "" && d.Resource.Name == n.refuse:
			row = bus.ImportRow{Outcome: bus.OutcomeRefused, Code: bus.CodeForbidden}
		case there && was == d.Resource.Name:
			row.Outcome = bus.OutcomeUnchanged
		case n.lack != "" && d.Resource.Name == n.lack:
			row.Defects = []bus.Defect{{Field: "provider"}}
		}
		if rows = append(rows, row); !dry && row.Outcome != bus.OutcomeRefused {
			n.taken[code] = d.Resource.Name
		}
	}
	if !dry {
		n.answers[request] = rows
	}
	if n.fail > 0 && len(n.requests) >= n.fail {
		return nil, io.ErrUnexpectedEOF
	}
	return rows, nil
}
