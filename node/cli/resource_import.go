package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
	"github.com/gxbus/gxbus/pkg/catalogue/intake"
	"github.com/gxbus/gxbus/pkg/catalogue/mapping"
	"github.com/gxbus/gxbus/pkg/client"
)

// importFlags say how a file of entries is imported.
type importFlags struct {
	mapping, format, sheet, report, journal, departments string
	submit, dry, check, resume                           bool
}

var formats = []string{string(catalogue.XLSX), string(catalogue.CSV), string(catalogue.JSONL)}

func (a *app) resourceImportCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use: "import FILE", Short: a.say("导入目录条目（XLSX、CSV、JSON Lines）", "Import catalogue entries (XLSX, CSV, JSON Lines)"), Args: a.exactly("FILE"),
		Long: a.say("导入目录条目，每条成为编制稿；--submit 将完整的提交审核。\n"+
			"先通读全文，文件不可用则什么也不提交；此后逐条处理，一条被拒绝不影响其他。按代码查找，重复导入不产生变化。\n"+
			"中断后用 --resume 继续。有条目被拒绝时退出码为 1。",
			"Import catalogue entries. Each becomes a draft; --submit puts the complete ones up for review.\n"+
				"The file is read through first, and nothing is sent if it cannot be used; then each entry stands for itself. Entries\n"+
				"are found by their code, and to import them again changes nothing. After an interruption go on with --resume.\n"+
				"The exit code is 1 where an entry was refused."),
		Example: "  gxbus resource import catalogue.xlsx --check\n  gxbus resource import catalogue.xlsx --submit --report report.xlsx\n" +
			"  gxbus resource import records.jsonl --map mapping.yaml --departments-out departments.yaml --check",
	}
	flags := cmd.Flags()
	flags.StringVar(&f.mapping, "map", "", a.say("映射 `文件`，用于其他目录的格式", "mapping `file`, for the lists of others"))
	flags.StringVar(&f.format, "format", "", a.say("`格式`：xlsx、csv、jsonl（缺省按文件名）", "`format`: xlsx, csv, jsonl (else by the file's name)"))
	flags.StringVar(&f.sheet, "sheet", "", a.say("工作 `表`（缺省为“目录”或第一个）", "`sheet` of a workbook (else 目录 or the first)"))
	flags.BoolVar(&f.submit, "submit", false, a.say("将完整的条目提交审核", "put what is complete up for review"))
	flags.BoolVar(&f.check, "check", false, a.say("只检查格式，不连接节点", "only check the form; no node is needed"))
	flags.BoolVar(&f.dry, "dry-run", false, a.say("询问节点将如何处理，不写入", "ask the node what would become of it, and write nothing"))
	flags.StringVar(&f.report, "report", "", a.say("逐条报告 `文件`：.xlsx 为标注后的原文件，.csv、.json", "report `file`: .xlsx is the input annotated, .csv, .json"))
	flags.StringVar(&f.journal, "journal", "", a.say("续传记录 `文件`（缺省在原文件旁）", "journal `file` (else beside the input)"))
	flags.BoolVar(&f.resume, "resume", false, a.say("继续中断的导入", "go on with an import that was interrupted"))
	flags.StringVar(&f.departments, "departments-out", "", a.say("写出映射所涉部门的 `文件`，供 department put", "write the departments of a mapping to a `file`, for department put"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.validate(a, cmd); err != nil {
			return err
		}
		return a.importEntries(cmd.Context(), args[0], f)
	}
	return cmd
}

func (f importFlags) validate(a *app, cmd *cobra.Command) error {
	if f.format != "" && !slices.Contains(formats, f.format) {
		return a.usage(cmd, "--format 不支持 "+f.format+"（允许：xlsx、csv、jsonl）", "--format cannot be "+f.format+" (allowed: xlsx, csv, jsonl)")
	}
	if f.report != "" && !slices.Contains([]string{"xlsx", "csv", "json"}, extension(f.report)) {
		return a.usage(cmd, "--report 应以 .xlsx、.csv 或 .json 结尾", "--report must end in .xlsx, .csv or .json")
	}
	if f.departments != "" && f.mapping == "" {
		return a.usage(cmd, "--departments-out 须与 --map 同用", "--departments-out needs --map")
	}
	return nil
}

func extension(path string) string {
	return strings.ToLower(path[strings.LastIndexByte(path, '.')+1:])
}

// importEntries checks a file, sends it, and tells what became of it.
func (a *app) importEntries(ctx context.Context, path string, f importFlags) error {
	options := catalogue.Options{Format: catalogue.Format(f.format), Sheet: f.sheet}
	config := intake.Config{File: path, Submit: f.submit, DryRun: f.dry}
	var m *mapping.Mapping
	if f.mapping != "" {
		content, err := os.ReadFile(f.mapping)
		if err != nil {
			return err
		}
		if m, err = mapping.Read(content); err != nil {
			return err
		}
		options.Mapping, config.Mapping = m, m.Name()
	}
	source, err := catalogue.Open(path, options)
	if err != nil {
		return err
	}
	defer source.Close()
	config.Source = source
	if !f.check {
		spool, err := os.CreateTemp("", "gxbus-import-*")
		if err != nil {
			return err
		}
		defer func() { _ = errors.Join(spool.Close(), os.Remove(spool.Name())) }()
		config.Spool = spool
	}
	var bar *bar
	config.Step = func(n int) { bar.add(n) }
	in := intake.New(config)
	report, err := in.Check()
	if err != nil {
		return err
	}
	if f.departments != "" {
		if err := a.writeDepartments(f.departments, m.Departments()); err != nil {
			return err
		}
	}
	if !f.check {
		bar = a.progress(in.Pending())
		report, err = a.send(ctx, in, path, f)
		bar.done()
		if err != nil {
			return err
		}
	}
	if f.report != "" {
		if err := a.writeAccount(f.report, path, options, report); err != nil {
			return err
		}
	}
	if err := a.printAccount(report); err != nil {
		return err
	}
	if report.Refused == 0 {
		return nil
	}
	return bus.E(bus.CodeInvalid, bus.Defect{Field: path, Allowed: "--report FILE.xlsx",
		Problem: bus.Text{ZH: sprint(report.Refused, " 条被拒绝，其余不受影响"), EN: sprint(report.Refused, " entries were refused; the others are not concerned")}})
}

// send takes the entries to the node, with a journal unless nothing is written.
func (a *app) send(ctx context.Context, in *intake.Intake, path string, f importFlags) (*intake.Report, error) {
	c, err := a.connect()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if f.dry {
		return in.Send(ctx, carrier{c})
	}
	journal := f.journal
	if journal == "" {
		journal = path + ".gxbus-journal"
	}
	purpose, err := purposeOf(path, f, c.Server())
	if err != nil {
		return nil, err
	}
	j, err := intake.OpenJournal(journal, purpose, f.resume)
	if err != nil {
		return nil, err
	}
	in.Journal = j
	report, err := in.Send(ctx, carrier{c})
	if err != nil {
		_ = j.Close()
		a.notice("未完成；用 --resume 继续", "not finished; go on with --resume")
		return nil, err
	}
	return report, j.Done()
}

// carrier takes chunks to a node.
type carrier struct{ c *client.Client }

// Import sends one chunk.
func (n carrier) Import(ctx context.Context, request string, drafts []json.RawMessage, submit, dry bool) ([]bus.ImportRow, error) {
	return n.c.WithRequestID(request).ImportEncoded(ctx, drafts, submit, dry)
}

func purposeOf(path string, f importFlags, server string) (intake.Purpose, error) {
	p := intake.Purpose{Server: server, Submit: f.submit}
	var err error
	if p.File, err = digestOf(path); err != nil || f.mapping == "" {
		return p, err
	}
	p.Mapping, err = digestOf(f.mapping)
	return p, err
}

func digestOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (a *app) writeDepartments(path string, departments []bus.Department) error {
	return writeFile(path, func(w io.Writer) error {
		if len(departments) == 0 {
			return nil
		}
		return writeYAML(w, departments)
	})
}

// writeFile writes a file whole, or leaves the error.
func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}
