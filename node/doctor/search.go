package doctor

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/search"
)

const searchIndex = "search index"

// Search judges the index of the catalogue of a node that runs.
func Search(p search.Progress, behind bool, err error) client.Check {
	zh, en := fmt.Sprintf("%d 条，目录序号 %d", p.Indexed, p.Index), fmt.Sprintf("%d entries, of the directory at %d", p.Indexed, p.Index)
	switch {
	case err != nil:
		return Fail(searchIndex, "无法打开："+err.Error(), "cannot be opened: "+err.Error(),
			bus.Text{ZH: "检查磁盘与 search/ 的权限；节点每隔两秒重试", EN: "check the disk and who owns search/; the node tries again every two seconds"})
	case !p.Complete:
		return Warn(searchIndex, fmt.Sprintf("正在重建：%d/%d", p.Indexed, p.Total), fmt.Sprintf("is being made anew: %d of %d", p.Indexed, p.Total),
			bus.Text{ZH: "等待完成；期间检索结果不全", EN: "wait; until then searches lack what is not in it yet"})
	case behind:
		return Warn(searchIndex, zh+"，落后于目录", en+", behind it", bus.Text{ZH: "导入期间属正常；持续不前则重启节点", EN: "to be expected while an import runs; where it stays so, restart the node"})
	}
	return OK(searchIndex, zh, en)
}

// SearchFiles judges the files of the index of a node that does not run.
func SearchFiles(err error) client.Check {
	next := bus.Text{ZH: "启动节点，由目录自动重建", EN: "start the node: it is made anew from the directory"}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Warn(searchIndex, "缺失", "missing", next)
	case err != nil:
		return Warn(searchIndex, err.Error(), err.Error(), next)
	}
	return OK(searchIndex, "完好", "sound")
}
