package evaluation

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// MaterialFormat names the form of material's JSON.
const MaterialFormat = "gxbus-evaluation-material/1"

// MaterialFile is the name of material in a folder of evidence; beside it stand the
// evidence exports of nodes, EvidenceSuffix at the end of their names.
const (
	MaterialFile   = "directory.json"
	EvidenceSuffix = ".jsonl"
)

// ReadDirectory reads what an evaluation needs of the directory. Rollups are to be
// added.
func ReadDirectory(tx *state.Tx) *Material {
	cluster, _ := tx.Cluster()
	d := Directory{
		Days: slices.Collect(tx.CalendarDays()), Versions: map[bus.ResourceID][]bus.Version{}, Homes: map[bus.USCC]bus.NodeID{},
		Applications: slices.Collect(tx.Applications()), Grants: slices.Collect(tx.Grants()), Triggers: slices.Collect(tx.Triggers()),
		Corrections: slices.Collect(tx.Corrections()), Disputes: slices.Collect(tx.Disputes()), Departments: slices.Collect(tx.Departments()),
		Divisions: slices.Collect(tx.Divisions()), Nodes: slices.Collect(tx.Nodes()),
	}
	for v := range tx.AllVersions() {
		d.Versions[v.Resource.ID] = append(d.Versions[v.Resource.ID], v)
	}
	for a := range tx.Attachments() {
		if a, ok := tx.Attachment(a.Resource); ok {
			d.Attachments = append(d.Attachments, a)
		}
	}
	for _, x := range d.Departments {
		if home, ok := tx.Home(x); ok {
			d.Homes[x.ID] = home
		}
	}
	return &Material{Format: MaterialFormat, Cluster: cluster, Revision: tx.Index(), Directory: d, Checkpoints: slices.Collect(tx.Checkpoints())}
}

// DecodeMaterial reads material, strictly; CodeInvalid where it is none.
func DecodeMaterial(data []byte) (*Material, error) {
	m := &Material{}
	decoder := json.NewDecoder(bytes.NewReader(data)) // not strictjson: versions of old releases may have other fields
	if err := decoder.Decode(m); err != nil || m.Format != MaterialFormat {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{Field: MaterialFile, Problem: bus.Text{ZH: "不是评价材料", EN: "not the material of an evaluation"}, Allowed: MaterialFormat}).Because(err)
	}
	return m, nil
}

// VerifyFolder verifies a report against a folder with the material and the evidence
// exports of the nodes: each export by itself and against the checkpoints that the
// directory held, then all rollups and figures. Keys are the verifier keys that are
// trusted; with none it takes those of the nodes in the material, and says so.
func VerifyFolder(r Report, folder fs.FS, keys ...string) (Finding, error) {
	m, names, err := openFolder(folder)
	if err != nil {
		return Finding{}, err
	}
	trusted := map[bus.NodeID][]string{}
	for _, n := range m.Directory.Nodes {
		trusted[n.ID] = []string{n.EvidenceKey}
	}
	if len(keys) > 0 {
		trusted[r.Node] = keys
	}
	days := daysOf(r)
	var problems []bus.Text
	exports := map[bus.NodeID]string{}
	for _, name := range names {
		node, rollups, problem, err := m.open(folder, name, days, trusted)
		if err != nil {
			return Finding{}, err
		}
		exports[node] = name
		m.Rollups.Add(rollups...)
		if problem != nil {
			problems = append(problems, *problem)
		}
	}
	f, err := m.Check(r, nil, trusted[r.Node]...)
	again := Report{Window: r.Window, Reconciliation: Reconciliation{Differences: f.Differences}}
	m.NameDifferences(&again, func(node bus.NodeID, about About, days []calendar.Date) ([]Exchange, error) {
		return exchangesIn(folder, exports[node], about, days)
	})
	f.Problems = append(problems, f.Problems...)
	f.Verified = len(f.Problems) == 0
	return f, err
}

// ReadFolder reads what a folder has about a window: the directory's material, and the
// rollups that the evidence exports give. It verifies nothing: [VerifyFolder] does.
func ReadFolder(folder fs.FS, w Window) (*Material, error) {
	m, names, err := openFolder(folder)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		_, rollups, broken, err := derived(folder, name, w.Days())
		if err = cmp.Or(err, broken); err != nil {
			return nil, err
		}
		m.Rollups.Add(rollups...)
	}
	return m, nil
}

// openFolder reads the material in a folder, and lists the exports beside it.
func openFolder(folder fs.FS) (m *Material, exports []string, err error) {
	data, err := fs.ReadFile(folder, MaterialFile)
	if err != nil {
		return nil, nil, bus.NotFound("evidence", MaterialFile).Because(err)
	}
	if m, err = DecodeMaterial(data); err != nil {
		return nil, nil, err
	}
	if exports, err = fs.Glob(folder, "*"+EvidenceSuffix); err != nil {
		return nil, nil, fmt.Errorf("list evidence: %w", err)
	}
	return m, exports, nil
}

// exchangesIn gives the exchanges of days in an export that are about something.
func exchangesIn(folder fs.FS, name string, about About, days []calendar.Date) (all []Exchange, err error) {
	export, err := folder.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	defer func() { err = errors.Join(err, export.Close()) }()
	reader, err := audit.OpenExport(export)
	if err != nil {
		return nil, err
	}
	var broken error // verification tells of it
	all, err = Exchanges(exported(reader, &broken), days...)
	return slices.DeleteFunc(all, func(x Exchange) bool { return !about.Matches(x) }), err
}

// daysOf lists the days of the rollups that a report used.
func daysOf(r Report) []calendar.Date {
	var days []calendar.Date
	for _, u := range r.Inputs.Rollups {
		if day, err := calendar.ParseDate(u.Day); err == nil {
			days = append(days, day)
		}
	}
	slices.Sort(days)
	return slices.Compact(days)
}

// derived gives the rollups of days that an export gives, up to where it cannot be read,
// which is broken.
func derived(folder fs.FS, name string, days []calendar.Date) (node bus.NodeID, rollups []Rollup, broken, err error) {
	export, err := folder.Open(name)
	if err != nil {
		return "", nil, nil, fmt.Errorf("open evidence: %w", err)
	}
	defer func() { err = errors.Join(err, export.Close()) }()
	reader, err := audit.OpenExport(export)
	if err != nil {
		return "", nil, nil, err
	}
	rollups, err = Derive(reader.Node(), exported(reader, &broken), days)
	return reader.Node(), rollups, broken, err
}

// open verifies one export, and derives the rollups of its node.
func (m *Material) open(folder fs.FS, name string, days []calendar.Date, trusted map[bus.NodeID][]string) (node bus.NodeID, rollups []Rollup, problem *bus.Text, err error) {
	node, rollups, broken, err := derived(folder, name, days)
	if err != nil {
		return node, nil, nil, err
	}
	problem, err = m.sound(folder, name, node, trusted[node])
	if problem == nil && broken != nil { // verification names the leaf; this is what it would have missed
		return node, nil, nil, broken
	}
	return node, rollups, problem, err
}

// exported gives the leaves of an export up to what cannot be read of it.
func exported(reader *audit.ExportReader, broken *error) iter.Seq2[audit.Leaf, error] {
	return func(yield func(audit.Leaf, error) bool) {
		for {
			leaf, err := reader.NextLeaf()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					*broken = err
				}
				return
			}
			if !yield(leaf, nil) {
				return
			}
		}
	}
}

// sound verifies an export as a log.
func (m *Material) sound(folder fs.FS, name string, node bus.NodeID, keys []string) (problem *bus.Text, err error) {
	export, err := folder.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open evidence: %w", err)
	}
	defer func() { err = errors.Join(err, export.Close()) }()
	var known []bus.Checkpoint
	for _, c := range m.Checkpoints {
		if c.Node == node {
			known = append(known, c)
		}
	}
	report, err := audit.VerifyExport(export, known, keys...)
	if err != nil || report.Verified {
		return nil, err
	}
	return &bus.Text{
		ZH: strings.TrimSpace(fmt.Sprintf("节点 %s 的存证（%s）：%s", node, name, report.Problem.ZH)),
		EN: strings.TrimSpace(fmt.Sprintf("evidence of node %s (%s): %s", node, name, report.Problem.EN)),
	}, nil
}
