package doctor

import (
	"fmt"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// Archive judges the sealed segments of the evidence log, of which bad are missing or
// not as they were sealed.
func Archive(segments int, bad []string, err error) client.Check {
	const name = "evidence archive"
	switch {
	case err != nil:
		return Fail(name, err.Error(), err.Error(), bus.Text{})
	case len(bad) > 0:
		list := strings.Join(bad, ", ")
		return Fail(name, "缺失或损坏："+list, "missing or damaged: "+list,
			bus.Text{ZH: "从备份取回同名文件放入数据目录的 evidence/，通知审计管理员", EN: "bring the files back from a backup into evidence/ of the data directory, and call the auditor"})
	}
	return OK(name, fmt.Sprintf("%d 个归档段完好", segments), fmt.Sprintf("%d segments as they were sealed", segments))
}
