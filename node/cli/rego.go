package cli

import (
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
)

// maxModule bounds one file of a policy layer.
const maxModule = 1 << 20

// layerOf reads the *.rego files of a directory; it does not go below it.
func (a *app) layerOf(cmd *cobra.Command, dir, id string) (bus.Layer, error) {
	layer := bus.Layer{ID: bus.LayerID(id), Modules: map[string]string{}}
	if err := a.need(cmd, "layer"); err != nil {
		return layer, err
	}
	if err := bus.Invalid(checkLayerID(layer)); err != nil {
		return layer, err
	}
	root, err := os.OpenRoot(dir) // a link out of the directory is not followed
	if err != nil {
		return layer, err
	}
	defer root.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return layer, err
	}
	for _, entry := range entries {
		if entry.IsDir() || filepath.Ext(entry.Name()) != ".rego" {
			continue
		}
		if layer.Modules[entry.Name()], err = readModule(root, entry.Name()); err != nil {
			return layer, err
		}
	}
	if len(layer.Modules) == 0 {
		return layer, bus.E(bus.CodeInvalid, bus.Defect{Field: dir, Problem: bus.Text{ZH: "目录中没有策略文件", EN: "the directory holds no policy"}, Allowed: "*.rego"})
	}
	return layer, nil
}

func readModule(root *os.Root, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	source, err := io.ReadAll(io.LimitReader(f, maxModule+1))
	if err == nil && len(source) > maxModule {
		err = bus.E(bus.CodeTooLarge, bus.Defect{Field: name, Problem: bus.Text{ZH: "文件过大", EN: "the file is too large"}, Allowed: "1 MiB"})
	}
	return string(source), err
}
