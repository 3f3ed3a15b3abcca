package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// single are the flags of one event.
type single struct{ source, typ, id, subject, data, media string }

func (a *app) publishCommand() *cobra.Command {
	var file string
	var one single
	cmd := &cobra.Command{
		Use: "publish RESOURCE", Short: a.say("发布数据资源的事件", "Publish events of a resource"), Args: a.exactly("RESOURCE"),
		Long: a.say("发布 CloudEvents 1.0 事件：用 -f 读取 JSON Lines（每行一个事件），或用选项发布单个事件。\n"+
			"重复发布是安全的：来源和编号相同的事件只收一次。",
			"Publish CloudEvents 1.0: from JSON Lines, an event a line, with -f; or one event from flags.\n"+
				"Publishing again is safe: an event with the same source and id is taken once."),
		Example: "  gxbus publish enterprise-registration -f events.jsonl\n" +
			"  gxbus publish enterprise-registration --source /systems/market-registry --type cn.gov.enterprise.changed --id 1 --data @event.json",
		ValidArgsFunction: resources(a).complete(a),
	}
	flags := cmd.Flags()
	flags.StringVarP(&file, "file", "f", "", a.say("JSON Lines `文件`，\"-\" 为标准输入", "`file` of JSON Lines, \"-\" for the standard input"))
	flags.StringVar(&one.source, "source", "", a.say("事件 `来源`：/systems/系统标识", "event `source`: /systems/ID"))
	flags.StringVar(&one.typ, "type", "", a.say("事件 `类型`", "event `type`"))
	flags.StringVar(&one.id, "id", "", a.say("事件 `编号`，缺省随机", "event `id`, random where left out"))
	flags.StringVar(&one.subject, "subject", "", a.say("事件 `主题`", "event `subject`"))
	flags.StringVar(&one.data, "data", "", a.say("`数据`，@FILE 为文件，\"-\" 为标准输入", "the `data`, @FILE for a file, \"-\" for the standard input"))
	flags.StringVar(&one.media, "content-type", "application/json", a.say("数据的媒体 `类型`", "media `type` of the data"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (file == "") == (one.typ == "") {
			return a.usage(cmd, "请用 --file，或用 --type 与 --source 发布单个事件", "use --file, or --type and --source for one event")
		}
		resource := bus.ResourceID(args[0])
		if err := bus.Invalid(bus.CheckID("resource", resource)); err != nil {
			return err
		}
		if file != "" {
			return a.publishFile(cmd, resource, file)
		}
		return a.publishOne(cmd, resource, one)
	}
	return cmd
}

func (a *app) publishOne(cmd *cobra.Command, resource bus.ResourceID, one single) error {
	if err := a.need(cmd, "source"); err != nil {
		return err
	}
	e := event.New()
	e.SetType(one.typ)
	e.SetSource(one.source)
	e.SetSubject(one.subject)
	e.SetTime(a.Now())
	if e.SetID(one.id); one.id == "" {
		e.SetID(rand.Text())
	}
	if one.data != "" {
		data, err := a.argument(one.data)
		if err != nil {
			return err
		}
		if err := setData(&e, one.media, data); err != nil {
			return err
		}
	}
	if err := checkEvent(e, "event"); err != nil {
		return err
	}
	return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
		receipts, err := c.Publish(ctx, resource, e)
		return a.printReceipts(receipts, err)
	})(cmd, nil)
}

// printReceipts prints what was accepted, also before an error.
func (a *app) printReceipts(receipts []client.Receipt, err error) error {
	if err != nil && len(receipts) == 0 {
		return err
	}
	return errors.Join(printList(a, receiptColumns, receipts), err)
}

// argument reads a flag's value: @FILE, "-" or the text itself.
func (a *app) argument(value string) ([]byte, error) {
	name, isFile := strings.CutPrefix(value, "@")
	if !isFile && value != "-" {
		return []byte(value), nil
	}
	in, err := a.open(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return readAtMost(in, client.MaxBatchBytes)
}

func readAtMost(in io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = bus.E(bus.CodeTooLarge, bus.Defect{Field: "data", Problem: bus.Text{ZH: "数据过大", EN: "the data is too large"}, Allowed: "1 MiB"})
	}
	return content, err
}

func setData(e *event.Event, media string, data []byte) error {
	if media != "application/json" && !strings.HasSuffix(media, "+json") {
		return e.SetData(media, data)
	}
	if !json.Valid(data) {
		return bus.E(bus.CodeMalformedJSON, bus.Defect{Field: "data", Problem: bus.Text{ZH: "不是 JSON", EN: "not JSON"}, Allowed: media})
	}
	e.SetDataContentType(media)
	e.DataEncoded, e.DataBase64 = bytes.TrimSpace(data), false
	return nil
}

func checkEvent(e event.Event, field string) error {
	if err := e.Validate(); err != nil {
		return bus.E(bus.CodeMalformedEvent, bus.Defect{Field: field, Problem: bus.Text{ZH: "事件不完整", EN: "the event is not complete"}}).Because(err)
	}
	return nil
}

// publishFile sends a file of JSON Lines in batches, so that a long one needs
// no more memory than a batch.
func (a *app) publishFile(cmd *cobra.Command, resource bus.ResourceID, file string) error {
	in, err := a.open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
		receipts, err := a.publishLines(ctx, c, resource, in)
		duplicates := 0
		for _, r := range receipts {
			if r.Duplicate {
				duplicates++
			}
		}
		a.notice(sprint("已收 ", len(receipts), " 件，其中重复 ", duplicates, " 件"), sprint(len(receipts), " accepted, ", duplicates, " of them duplicates"))
		return a.printReceipts(receipts, err)
	})(cmd, nil)
}

func (a *app) publishLines(ctx context.Context, c *client.Client, resource bus.ResourceID, in io.Reader) ([]client.Receipt, error) {
	bar := a.progress(0)
	defer bar.done()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, client.MaxBatchBytes)
	var receipts []client.Receipt
	var waiting []event.Event
	size := 0
	flush := func() error {
		got, err := c.Publish(ctx, resource, waiting...)
		receipts = append(receipts, got...)
		bar.add(len(got))
		waiting, size = waiting[:0], 0
		return err
	}
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		e, err := lineEvent(lines.Bytes(), n)
		if err != nil {
			return receipts, err
		}
		waiting, size = append(waiting, e), size+len(lines.Bytes())
		if len(waiting) == client.MaxBatchEvents || size >= client.MaxBatchBytes/2 {
			if err := flush(); err != nil {
				return receipts, err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return receipts, err
	}
	return receipts, flush()
}

func lineEvent(line []byte, n int) (event.Event, error) {
	var e event.Event
	field := fmt.Sprintf("line %d", n)
	if err := json.Unmarshal(line, &e); err != nil {
		return e, bus.E(bus.CodeMalformedEvent, bus.Defect{Field: field, Problem: bus.Text{ZH: "不是 JSON 格式的事件", EN: "not an event in JSON"}}).Because(err)
	}
	return e, checkEvent(e, field)
}

var receiptColumns = []column[client.Receipt]{
	{"source", "来源", func(r client.Receipt) string { return r.Source }},
	{"id", "编号", func(r client.Receipt) string { return r.ID }},
	{"sequence", "序号", func(r client.Receipt) string { return sprint(r.Sequence) }},
	{"duplicate", "重复", func(r client.Receipt) string { return sprint(r.Duplicate) }},
	{"digest", "摘要", func(r client.Receipt) string { return r.Digest }},
}
