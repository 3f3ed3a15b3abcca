package policy

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/policies"
)

// Base returns the base layer as shipped, its tests included, at revision 0.
func Base() (bus.Layer, error) { return shipped(bus.BaseLayer, "base") }

// Samples returns the sample layers as shipped, at revision 0: 440000 and
// 440100.
func Samples() ([]bus.Layer, error) {
	entries, err := fs.ReadDir(policies.FS, "samples")
	if err != nil {
		return nil, fmt.Errorf("sample policies: %w", err)
	}
	var layers []bus.Layer
	for _, entry := range entries {
		id := bus.DivisionLayer(bus.DivisionCode(strings.TrimPrefix(entry.Name(), "division-")))
		layer, err := shipped(id, path.Join("samples", entry.Name()))
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	return layers, nil
}

// Recipe is a policy of the cookbook: a layer that does one thing, to start from.
type Recipe struct {
	Name  string // of its directory
	Layer bus.Layer
}

// Cookbook returns the recipes as shipped, at revision 0, by name. Each is of the
// layer that its package names.
func Cookbook() ([]Recipe, error) {
	entries, err := fs.ReadDir(policies.FS, "cookbook")
	if err != nil {
		return nil, fmt.Errorf("cookbook: %w", err)
	}
	var recipes []Recipe
	for _, entry := range entries {
		layer, err := shipped("", path.Join("cookbook", entry.Name()))
		if err != nil {
			return nil, err
		}
		if layer.ID = layerOfPackage(layer.Modules["rules.rego"]); layer.ID == "" {
			return nil, fmt.Errorf("cookbook: %s: rules.rego is in no layer's package", entry.Name())
		}
		recipes = append(recipes, Recipe{entry.Name(), layer})
	}
	return recipes, nil
}

var packageLine = regexp.MustCompile(`(?m)^package gxbus\.(division|department)\.d([0-9A-Z]+)$`)

// layerOfPackage reads off a module which layer it is of, "" if of none.
func layerOfPackage(module string) bus.LayerID {
	m := packageLine.FindStringSubmatch(module)
	if m == nil {
		return ""
	}
	return bus.LayerID(m[1] + "/" + m[2])
}

func shipped(id bus.LayerID, dir string) (bus.Layer, error) {
	dirFS, err := fs.Sub(policies.FS, dir)
	if err != nil {
		return bus.Layer{}, fmt.Errorf("shipped policy %s: %w", dir, err)
	}
	return ReadLayer(id, dirFS)
}

// ReadLayer reads the *.rego files at the root of dir as a layer at revision 0.
func ReadLayer(id bus.LayerID, dir fs.FS) (bus.Layer, error) {
	files, err := fs.Glob(dir, "*.rego")
	if err != nil {
		return bus.Layer{}, fmt.Errorf("policy files: %w", err)
	}
	layer := bus.Layer{ID: id, Modules: map[string]string{}}
	for _, file := range files {
		text, err := fs.ReadFile(dir, file)
		if err != nil {
			return bus.Layer{}, fmt.Errorf("policy file: %w", err)
		}
		layer.Modules[file] = string(text)
	}
	return layer, nil
}
