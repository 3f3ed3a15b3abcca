package main_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue/intake"
	"github.com/gxbus/gxbus/pkg/client"
)

// The real catalogue records lie beside a checkout, not in it; they have no
// licence. Whatever sharing type the mapping gives them is synthetic.
const (
	realRecords = "../../shared/data/catalogue_sample.jsonl.gz"
	realMapping = "../pkg/catalogue/mapping/testdata/open-data.yaml"
	realCount   = 9981
)

// TestImportOfTheRealRecords imports them by the program, as people do, into
// three voters.
func TestImportOfTheRealRecords(t *testing.T) {
	dir := t.TempDir()
	records := filepath.Join(dir, "records.jsonl")
	unpack(t, realRecords, records)
	p := newImporting(t, dir)
	departments, account := filepath.Join(dir, "departments.yaml"), filepath.Join(dir, "account.json")

	code, out := p.run("resource", "import", records, "--map", realMapping, "--check", "--departments-out", departments)
	if code != 1 || !strings.Contains(out, "2 refused") {
		t.Fatalf("check: exit %d: %s", code, out)
	}
	p.ok("department", "put", "-f", departments)

	code, out = p.run("resource", "import", records, "--map", realMapping, "--report", account)
	first := p.account(account)
	t.Logf("exit %d: %+v", code, first.Totals())
	if code != 1 || first.Refused == 0 || !strings.Contains(out, "synthetic, not of the source") {
		t.Errorf("exit %d: %s", code, out)
	}
	if first.Read != realCount || first.Taken+first.Mended+first.Refused != first.Read {
		t.Errorf("%d taken + %d mended + %d refused, %d read", first.Taken, first.Mended, first.Refused, first.Read)
	}
	if first.Created+first.Merged != first.Taken+first.Mended || first.Changed+first.Unchanged != 0 || first.Synthetic["sharing.type"] != realCount-1 && first.Synthetic["sharing.type"] != realCount {
		t.Errorf("first run: %+v", first.Totals())
	}
	p.finds(t, first.Created)
	drafts, err := p.admin.Drafts().List(p.ctx, client.DraftFilter{})
	must(t, err)
	if len(drafts) != first.Created {
		t.Errorf("%d drafts, %d created", len(drafts), first.Created)
	}
	for _, d := range drafts {
		if !strings.Contains(d.Resource.Abstract, "合成") {
			t.Fatalf("%s does not say that it is synthetic: %s", d.ID, d.Resource.Abstract)
		}
	}
	p.hash(t)
	status, err := p.admin.Status(p.ctx, false)
	must(t, err)

	p.run("resource", "import", records, "--map", realMapping, "--report", account)
	second := p.account(account)
	if second.Created+second.Changed != 0 || second.Unchanged != first.Created || second.Merged != first.Merged || second.Refused != first.Refused {
		t.Errorf("second run: %+v", second.Totals())
	}
	after, err := p.admin.Drafts().List(p.ctx, client.DraftFilter{})
	must(t, err)
	if was, is := asJSON(drafts), asJSON(after); was != is {
		t.Error("the second run changed a draft")
	}
	p.unchanged(t, status.AppliedIndex)
	p.hash(t)

	for _, format := range []string{"jsonl", "csv", "xlsx"} {
		export := filepath.Join(dir, "export."+format)
		p.ok("resource", "export", "--drafts", "-f", export)
		p.ok("resource", "import", export, "--report", account)
		if again := p.account(account); again.Unchanged != first.Created || again.Read != first.Created {
			t.Errorf("%s exported and imported: %+v", format, again.Totals())
		}
	}
}

// questions are how often a node may be asked, right after an import, until it finds all
// of it: once, where the machine has breath, for it makes who asks wait for its index.
const questions = 3

// finds demands that the node that was asked to import finds all drafts when it is asked,
// and each by a word of its name; and that every other one does once it has them.
func (p *importing) finds(t *testing.T, count int) {
	t.Helper()
	begun := time.Now()
	var page client.ResourcePage
	for asked := 0; asked < questions && !page.Complete; asked++ {
		var err error
		page, err = p.admin.Search(p.ctx, drafts)
		must(t, err)
		t.Logf("question %d: %d found, complete %v, %v after the import", asked+1, page.Total, page.Complete, time.Since(begun).Round(time.Millisecond))
	}
	if !page.Complete || page.Total != count {
		t.Errorf("%d of %d found, complete %v", page.Total, count, page.Complete)
	}
	for _, n := range p.Nodes() {
		must(t, fleet.Until(p.ctx, string(n.ID())+" to find every draft", func(ctx context.Context) error {
			admin, err := p.SignIn(ctx, n, "sysadmin")
			if err != nil {
				return err
			}
			page, err := admin.Search(ctx, drafts)
			if err == nil && (!page.Complete || page.Total != count) {
				err = fmt.Errorf("%d of %d, complete %v", page.Total, count, page.Complete)
			}
			return err
		}))
	}
	t.Logf("found by all nodes %v after the import", time.Since(begun).Round(time.Millisecond))
	for _, words := range []string{"许可", "统计", "企业", "学校"} {
		q := drafts
		q.Words = words
		page, err := p.admin.Search(p.ctx, q)
		if err != nil || page.Total == 0 || page.Total >= count {
			t.Errorf("%s: %d of %d found: %v", words, page.Total, count, err)
		}
	}
}

// unchanged demands that no entry of the catalogue was put or deleted since an
// index: the next change that the directory tells is one that is made now. (The hash
// of the state covers the log's place too, which every import moves.)
func (p *importing) unchanged(t *testing.T, since bus.Revision) {
	t.Helper()
	_, err := p.admin.Departments().Put(p.ctx, sample.ProvinceData)
	must(t, err)
	for change, err := range p.admin.Watch(p.ctx, since, "draft", "resource", "department", "division", "library") {
		must(t, err)
		if change.Kind != "department" || change.Key != string(sample.ProvinceData.ID) {
			t.Errorf("%s %s changed, deleted %v", change.Kind, change.Key, change.Deleted)
		}
		return
	}
}

// TestImportSurvivesKills kills the importing program again and again, at
// whatever moment, and wants the state of one that was left alone.
func TestImportSurvivesKills(t *testing.T) {
	dir := t.TempDir()
	p := newImporting(t, dir)
	file := filepath.Join(dir, "generated.jsonl")
	const count = 3000
	generate(t, file, count)
	_, err := p.admin.Departments().Put(p.ctx, sample.ProvinceData)
	must(t, err)
	journal := file + ".gxbus-journal"
	kills := 0
	for round := range 6 {
		cmd := p.command("resource", "import", file, "--resume")
		must(t, cmd.Start())
		ended := make(chan struct{})
		go func() {
			_ = cmd.Wait() // killed
			close(ended)
		}()
		// one more line in the journal each round, and then whatever it is doing
		err := fleet.Until(p.ctx, "the journal to grow", func(context.Context) error {
			content, err := os.ReadFile(journal)
			if err == nil && bytes.Count(content, []byte("\n")) > round {
				return nil
			}
			select {
			case <-ended:
				return nil // it was faster
			default:
				return errors.New("not yet")
			}
		})
		must(t, err)
		select {
		case <-ended:
		default:
			must(t, cmd.Process.Kill())
			<-ended
			kills++
		}
	}
	t.Logf("killed %d times", kills)
	account := filepath.Join(dir, "account.json")
	p.ok("resource", "import", file, "--resume", "--report", account)
	whole := p.account(account)
	if whole.Read != count || whole.Taken != count || whole.Created+whole.Unchanged != count {
		t.Errorf("in the end: %+v", whole.Totals())
	}
	if _, err := os.Stat(journal); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the journal is still there: %v", err)
	}
	drafts, err := p.admin.Drafts().List(p.ctx, client.DraftFilter{})
	must(t, err)
	if len(drafts) != count {
		t.Fatalf("%d drafts", len(drafts))
	}
	p.ok("resource", "import", file, "--report", account)
	if again := p.account(account); again.Unchanged != count {
		t.Errorf("imported again: %+v", again.Totals())
	}
	p.hash(t)
}

// TestAnEmptyNodeIsSeededByASnapshotAfterAnImport imports few entries with long terms:
// as many bytes as some 70,000 short ones have.
func TestAnEmptyNodeIsSeededByASnapshotAfterAnImport(t *testing.T) {
	dir := t.TempDir()
	p := newImporting(t, dir)
	_, err := p.admin.Departments().Put(p.ctx, sample.ProvinceData)
	must(t, err)
	file := filepath.Join(dir, "long.jsonl")
	const count = 3000
	long := make([]bus.Resource, count)
	for i := range long {
		long[i] = generated(i)
		long[i].Open, long[i].OpenTerms = "conditional", strings.Repeat("样例条款；", 1600) // 24 KB
	}
	write(t, file, long...)
	p.ok("resource", "import", file)
	p.trimmed()
	empty, err := p.Grow(p.ctx, p.admin, fleet.Spec{ID: "tianhe", Division: "440106"})
	must(t, err)
	p.whole(t, empty, count)
}

// importing is a fleet, and the program on the side of a person.
type importing struct {
	*fleet.Fleet
	tb      testing.TB
	ctx     context.Context
	program string
	env     []string
	admin   *client.Client
}

func newImporting(tb testing.TB, dir string) *importing {
	tb.Helper()
	p := &importing{tb: tb, ctx: context.Background(), program: buildProgram(tb)}
	var err error
	p.Fleet, err = fleet.New(p.program, dir, fleet.Province()[:3]...)
	must(tb, err)
	tb.Cleanup(func() { must(tb, p.Stop()) })
	must(tb, p.Start(p.ctx))
	p.admin, err = p.SignIn(p.ctx, p.Nodes()[0], "sysadmin")
	must(tb, err)
	p.env = append(os.Environ(), "GXBUS_CREDENTIALS="+filepath.Join(dir, "credentials.json"), "GXBUS_LANG=en", "GXBUS_SERVER="+p.Nodes()[0].API,
		"GXBUS_CA="+p.Nodes()[0].CA(), "GXBUS_PASSWORD="+p.Password("sysadmin"))
	p.ok("login", "sysadmin")
	return p
}

func (p *importing) command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.program, args...)
	cmd.Env = p.env
	return cmd
}

// run runs the program and returns its exit code and all that it said.
func (p *importing) run(args ...string) (int, string) {
	p.tb.Helper()
	begun := time.Now()
	out, err := p.command(args...).CombinedOutput()
	p.tb.Logf("%.1f s: gxbus %s", time.Since(begun).Seconds(), strings.Join(args, " "))
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return failed.ExitCode(), string(out)
	}
	must(p.tb, err)
	return 0, string(out)
}

func (p *importing) ok(args ...string) string {
	p.tb.Helper()
	code, out := p.run(args...)
	if code != 0 {
		p.tb.Fatalf("gxbus %s: exit %d: %s", strings.Join(args, " "), code, out)
	}
	return out
}

func (p *importing) account(path string) intake.Report {
	p.tb.Helper()
	content, err := os.ReadFile(path)
	must(p.tb, err)
	var r intake.Report
	must(p.tb, json.Unmarshal(content, &r))
	must(p.tb, os.Remove(path))
	return r
}

// trimmed waits until the log of each node begins behind its first entry, so that an
// empty node can be seeded by a snapshot alone.
func (p *importing) trimmed() {
	p.tb.Helper()
	for _, n := range p.Nodes() {
		must(p.tb, fleet.Until(p.ctx, string(n.ID())+" to trim its log", func(ctx context.Context) error {
			admin, err := p.SignIn(ctx, n, "sysadmin")
			if err != nil {
				return err
			}
			checks, err := admin.Doctor(p.ctx, false) // a large directory takes it some time
			if err != nil {
				return err
			}
			at := slices.IndexFunc(checks, func(c client.Check) bool { return c.Name == "applied index" })
			var applied, first, last, snapshot uint64
			if _, err := fmt.Sscanf(checks[at].Detail.EN, "applied %d, log %d–%d, snapshot %d", &applied, &first, &last, &snapshot); err != nil {
				return err
			}
			if first == 1 || snapshot < first {
				return errors.New(checks[at].Detail.EN)
			}
			return nil
		}))
	}
}

// hash waits until every node is at one index, and wants one state there.
func (p *importing) hash(tb testing.TB) string {
	tb.Helper()
	hash := ""
	must(tb, fleet.Until(p.ctx, "one state on every node", func(ctx context.Context) error {
		found := map[string][]bus.NodeID{}
		for _, n := range p.Nodes() {
			admin, err := p.SignIn(ctx, n, "sysadmin")
			if err != nil {
				return err
			}
			status, err := admin.Status(ctx, true)
			if err != nil {
				return err
			}
			hash = status.StateHash
			key := fmt.Sprint(status.AppliedIndex, " ", status.StateHash)
			found[key] = append(found[key], n.ID())
		}
		if len(found) > 1 {
			return fmt.Errorf("%v", found)
		}
		return nil
	}))
	return hash
}

func unpack(t *testing.T, from, to string) {
	t.Helper()
	packed, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("SKIPPED: the real records are not at %s beside this checkout", from)
	}
	must(t, err)
	defer packed.Close()
	records, err := gzip.NewReader(packed)
	must(t, err)
	file, err := os.Create(to)
	must(t, err)
	_, err = io.Copy(file, records)
	must(t, errors.Join(err, file.Close()))
}

// generate writes entries as a file of JSON Lines has them.
func generate(tb testing.TB, path string, count int) {
	tb.Helper()
	entries := make([]bus.Resource, count)
	for i := range entries {
		entries[i] = generated(i)
	}
	write(tb, path, entries...)
}

// write writes a file of JSON Lines.
func write(tb testing.TB, path string, entries ...bus.Resource) {
	tb.Helper()
	file, err := os.Create(path)
	must(tb, err)
	enc := json.NewEncoder(file)
	for _, entry := range entries {
		must(tb, enc.Encode(bus.DraftContent{
			Clearance: bus.Clearance{SecrecyReview: "样例保审〔2026〕1号", Consent: "样例签批〔2026〕1号"},
			Resource:  entry,
		}))
	}
	must(tb, file.Close())
}

// generated is a made-up entry of about a kilobyte.
func generated(i int) bus.Resource {
	r := bus.Resource{
		Codes: []bus.ResourceCode{bus.ResourceCode(fmt.Sprintf("3%02d%03d/%08d", i%90+10, i%997, i))}, Name: fmt.Sprintf("行政许可信息%06d（样例）", i),
		Abstract: "行政许可的事项、对象、决定和有效期（样例）", Provider: sample.ProvinceData.ID, Format: "database", Class: "综合政务",
		Sharing: bus.Sharing{Type: bus.Unconditional}, Modes: []string{"batch"}, Open: "yes", UpdateCycle: "daily",
	}
	for _, item := range []string{"number", "holder", "matter", "decided", "valid_from", "valid_to", "authority"} {
		r.Items = append(r.Items, bus.Item{ID: bus.ItemID(item), Name: "信息项" + item, Type: "C", Length: 200, Grade: 1, Open: true})
	}
	return r
}

func asJSON(value any) string {
	content, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(content)
}
